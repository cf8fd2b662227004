//go:build chaos

package chaos

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
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
	log     string // the path of its log
	process *os.Process
	ended   chan struct{}
	err     error // how it ended; valid after ended is closed
}

// instanceConfig says how to run an instance.
type instanceConfig struct {
	databaseURL string
	host        string   // the address to listen on; empty means loopback
	namespace   string   // the network namespace; empty means the test's own
	env         []string // more of its environment
}

// startInstance runs the command and returns when it serves.
func startInstance(t *testing.T, number int, c instanceConfig) *instance {
	t.Helper()
	i := &instance{name: fmt.Sprintf("instance-%02d", number), ended: make(chan struct{})}
	dir := t.TempDir() // it has no .env
	i.log = filepath.Join(t.ArtifactDir(), i.name+".log")
	// A file and not a pipe, so that nothing is lost when the process dies, and it never waits for
	// us.
	log, err := os.Create(i.log)
	require.NoError(t, err)
	defer log.Close()

	args := []string{binary, "serve", "--port=0"}
	if c.host != "" {
		args = append(args, "--host="+c.host)
	}
	if c.namespace != "" {
		args = append([]string{"ip", "netns", "exec", c.namespace}, args...) // replaces itself with the command
	}
	cmd := exec.CommandContext(context.Background(), args[0], args[1:]...)
	cmd.Dir, cmd.Stderr = dir, log
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "DATABASE_URL=" + c.databaseURL}, c.env...)
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
	}, "%s starts to serve", i.name)
	require.NotEmpty(t, url, "%s serves; its log: %s", i.name, i.tail())
	var options []client.ClientOption
	if c.host != "" { // others can reach it, so that callers need a key
		options = append(options, withKey(t, c.databaseURL))
	}
	i.ClientWithResponses, err = client.NewClientWithResponses(url, options...)
	require.NoError(t, err)
	return i
}

// withKey creates a key at the command line, for a client to send.
func withKey(t *testing.T, databaseURL string) client.ClientOption {
	t.Helper()
	key, err := punctual(t.Context(), t, databaseURL, "keys", "create", "--description=chaos").Output()
	require.NoError(t, err)
	return client.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(key)))
		return nil
	})
}

// punctual returns the command with a database. It is killed when ctx ends.
func punctual(ctx context.Context, t *testing.T, databaseURL string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir = t.TempDir() // it has no .env
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "DATABASE_URL=" + databaseURL}
	return cmd
}

func (i *instance) hasEnded() bool {
	select {
	case <-i.ended:
		return true
	default:
		return false
	}
}

// kill sends SIGKILL, and returns when the process is gone.
func (i *instance) kill() {
	_ = i.process.Kill() // fails only if it has ended
	<-i.ended
}

// freeze stops an instance at a moment at which it holds claimed runs that it has not begun yet, so
// that what happens to the instance affects some runs.
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
	require.FailNow(t, "idle", "%s claims no runs", i.name)
}

// thaw continues a stopped instance.
func (i *instance) thaw(t *testing.T) {
	t.Helper()
	require.NoError(t, i.process.Signal(syscall.SIGCONT), "%s lives", i.name)
}

// stop sends SIGTERM, and requires that the instance exits with 0.
func (i *instance) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, i.process.Signal(syscall.SIGTERM), "%s lives", i.name)
	select {
	case <-i.ended:
	case <-time.After(40 * time.Second):
		require.FailNow(t, "not stopped", "%s does not stop; its log: %s", i.name, i.tail())
	}
	require.NoError(t, i.err, "%s exits with 0; its log: %s", i.name, i.tail())
}

// remove removes an instance from those that should be alive.
func (s *system) remove(i *instance) {
	s.instances = slices.DeleteFunc(slices.Clone(s.instances), func(other *instance) bool { return other == i })
}

// spawned is a process that spawn has to start.
type spawned struct {
	cmd *exec.Cmd
	err chan error
}

var toSpawn = make(chan spawned)

func init() {
	go func() {
		// Pdeathsig takes effect when the thread that started the process ends, so it must not end.
		runtime.LockOSThread()
		for s := range toSpawn {
			s.err <- s.cmd.Start()
		}
	}()
}

// spawn starts a process that ends with this one.
func spawn(cmd *exec.Cmd) error {
	s := spawned{cmd: cmd, err: make(chan error)}
	toSpawn <- s
	return <-s.err
}
