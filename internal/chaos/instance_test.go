//go:build chaos

package chaos

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// instance is a process of the service.
type instance struct {
	*client.ClientWithResponses
	name    string
	log     string // path of what it writes to standard error
	process *os.Process
	ended   chan struct{}
	err     error // how it ended; read it only after ended
}

// instanceConfig says how an instance is run.
type instanceConfig struct {
	databaseURL string
	host        string // to listen on; empty: the loopback
	namespace   string // of the network; empty: ours
}

// startInstance runs the command and returns when it serves.
func startInstance(t *testing.T, number int, c instanceConfig) *instance {
	t.Helper()
	i := &instance{name: fmt.Sprintf("instance-%02d", number), ended: make(chan struct{})}
	dir := t.TempDir() // no .env
	i.log = filepath.Join(t.ArtifactDir(), i.name+".log")
	// A file, not a pipe: what a process wrote is there whatever becomes of it, and it never waits for us.
	log, err := os.Create(i.log)
	require.NoError(t, err)
	defer log.Close()

	args := []string{binary, "serve", "--port=0"}
	if c.host != "" {
		args = append(args, "--host="+c.host, "--open")
	}
	if c.namespace != "" {
		args = append([]string{"ip", "netns", "exec", c.namespace}, args...) // replaces itself by the command
	}
	cmd := exec.CommandContext(context.Background(), args[0], args[1:]...)
	cmd.Dir, cmd.Stderr = dir, log
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "DATABASE_URL=" + c.databaseURL}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, spawn(cmd))
	i.process = cmd.Process
	go func() {
		i.err = cmd.Wait()
		close(i.ended)
	}()
	t.Cleanup(i.kill)

	var url string
	eventually(t, serveWithin, func() bool {
		for _, line := range i.lines(t) {
			if line.Msg == "serving" {
				url = line.URL
			}
		}
		return url != "" || i.hasEnded()
	}, "%s serves", i.name)
	require.NotEmpty(t, url, "%s serves; its log is %s", i.name, i.tail())
	i.ClientWithResponses, err = client.NewClientWithResponses(url)
	require.NoError(t, err)
	return i
}

func (i *instance) hasEnded() bool {
	select {
	case <-i.ended:
		return true
	default:
		return false
	}
}

// kill ends it as the kernel would, and returns when it is gone.
func (i *instance) kill() {
	_ = i.process.Kill() // fails only when it has ended
	<-i.ended
}

// freeze makes it stand still at a moment at which it has claimed runs that it has not begun yet: whatever is done to it
// then concerns somebody.
func (s *system) freeze(t *testing.T, i *instance) {
	t.Helper()
	tick := time.NewTicker(7 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		require.NoError(t, i.process.Signal(syscall.SIGSTOP), "%s lives", i.name)
		var held int
		require.NoError(t, s.db.QueryRow(t.Context(), `
			select count(*) from due d join leases l on l.id = d.lease_id
			where l.holder like '%/' || $1::text and d.ready_at > clock_timestamp() + interval '20 milliseconds'`,
			strconv.Itoa(i.process.Pid)).Scan(&held))
		if held > 0 {
			return
		}
		i.thaw(t)
		<-tick.C
	}
	require.FailNow(t, "idle", "%s claims nothing", i.name)
}

// thaw lets it go on.
func (i *instance) thaw(t *testing.T) {
	t.Helper()
	require.NoError(t, i.process.Signal(syscall.SIGCONT), "%s lives", i.name)
}

// stop ends it as an operator would, and requires that it ends well.
func (i *instance) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, i.process.Signal(syscall.SIGTERM), "%s lives", i.name)
	select {
	case <-i.ended:
	case <-time.After(40 * time.Second):
		require.FailNow(t, "not stopped", "%s does not stop; its log is %s", i.name, i.tail())
	}
	require.NoError(t, i.err, "%s exits with 0; its log is %s", i.name, i.tail())
}

// remove takes an instance off those that should be alive.
func (s *system) remove(i *instance) {
	s.instances = slices.DeleteFunc(slices.Clone(s.instances), func(other *instance) bool { return other == i })
}

// spawned is what spawn was asked to start.
type spawned struct {
	cmd *exec.Cmd
	err chan error
}

var toSpawn = make(chan spawned)

func init() {
	go func() {
		// Children are told to die with their parent, which for the kernel is the thread that started them.
		runtime.LockOSThread()
		for s := range toSpawn {
			s.err <- s.cmd.Start()
		}
	}()
}

// spawn starts a process that dies with this one.
func spawn(cmd *exec.Cmd) error {
	s := spawned{cmd: cmd, err: make(chan error)}
	toSpawn <- s
	return <-s.err
}
