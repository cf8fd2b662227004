//go:build chaos

package chaos

import (
	"context"
	"crypto/rand"
	"errors"
	mathrand "math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/internal/embeddedpg"
)

const (
	role = "punctual"
	// observer is the application name of the tests' own connections, which are not terminated.
	observer = "chaos"
)

// postgres is a server with default durability. Its address and its data survive a crash.
type postgres struct {
	bin, root, data string
	listen          string
	port            int
	password        string
	credential      *syscall.Credential
	cmd             *exec.Cmd
}

// startPostgres creates a cluster and serves it on addresses of this machine until the end of the
// test.
func startPostgres(t *testing.T, addresses ...string) *postgres {
	t.Helper()
	bin, err := embeddedpg.Find(os.Getenv("PUNCTUAL_POSTGRES_BIN"))
	require.NoError(t, err)
	// Not t.TempDir, which the user of PostgreSQL cannot enter.
	root, err := os.MkdirTemp("", "punctual-chaos-") //nolint:usetesting // see above
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(root)) })
	p := &postgres{
		bin: bin, root: root, data: filepath.Join(root, "data"), password: rand.Text(),
		listen: strings.Join(addresses, ","), port: stablePort(t),
	}
	secret := filepath.Join(root, "password")
	require.NoError(t, os.WriteFile(secret, []byte(p.password+"\n"), 0o600))
	if os.Geteuid() == 0 { // PostgreSQL refuses to run as root
		p.credential = unprivileged(t)
		for _, path := range []string{root, secret} {
			require.NoError(t, os.Chown(path, int(p.credential.Uid), int(p.credential.Gid)))
		}
	}
	out, err := p.command("initdb", "--pgdata="+p.data, "--username="+role, "--pwfile="+secret, "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions").CombinedOutput()
	require.NoError(t, err, "initdb creates a cluster: %s", out)
	access, err := os.OpenFile(filepath.Join(p.data, "pg_hba.conf"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = access.WriteString("host all all " + testNetwork + " scram-sha-256\n")
	require.NoError(t, errors.Join(err, access.Close()))

	p.start(t)
	t.Cleanup(p.crash)
	return p
}

// start starts the server and returns when it accepts connections.
func (p *postgres) start(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(t.ArtifactDir(), "postgres.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer log.Close()
	p.cmd = p.command("postgres", "-D", p.data, "-c", "port="+strconv.Itoa(p.port), "-c", "listen_addresses="+p.listen,
		"-c", "unix_socket_directories=", "-c", "timezone=UTC", "-c", "max_connections=200")
	p.cmd.Stdout, p.cmd.Stderr = log, log
	require.NoError(t, spawn(p.cmd))
	eventually(t, time.Minute, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		conn, err := pgx.Connect(ctx, p.url("127.0.0.1"))
		if err != nil {
			return false
		}
		_ = conn.Close(ctx)
		return true
	}, "PostgreSQL accepts connections")
}

// crash ends the server at once, as pg_ctl stop -m immediate does. It writes nothing more, and the
// next start recovers.
func (p *postgres) crash() {
	_ = p.cmd.Process.Signal(syscall.SIGQUIT)
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGCONT) // it may be stopped
	_ = p.cmd.Wait()                                      // an error, since it did not end well
}

// command prepares one of PostgreSQL's programs.
func (p *postgres) command(program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), filepath.Join(p.bin, program), args...)
	cmd.Dir = p.root
	cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: p.credential, Pdeathsig: syscall.SIGQUIT}
	return cmd
}

// url returns the URL of the database at a host.
func (p *postgres) url(host string) string { return p.urlAt(host, p.port) }

func (p *postgres) urlAt(host string, port int) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(role, p.password), Host: net.JoinHostPort(host, strconv.Itoa(port)),
		Path: "/postgres", RawQuery: "sslmode=disable",
	}
	return u.String()
}

// connect opens a pool for the tests themselves.
func (p *postgres) connect(t *testing.T) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(p.url("127.0.0.1"))
	require.NoError(t, err)
	config.ConnConfig.RuntimeParams["application_name"] = observer
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// unprivileged returns a user that can run PostgreSQL if the tests run as root.
func unprivileged(t *testing.T) *syscall.Credential {
	t.Helper()
	for _, name := range []string{"postgres", "_postgres", "nobody"} {
		known, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(known.Uid, 10, 32)
		require.NoError(t, err)
		gid, err := strconv.ParseUint(known.Gid, 10, 32)
		require.NoError(t, err)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	require.FailNow(t, "PostgreSQL refuses to run as root, and no user postgres or nobody exists")
	return nil
}

// stablePort returns a port that stays free while the server is down. It is below the ports that
// the kernel gives to outgoing connections: an instance that connects to such a port from that same
// port would connect to itself and occupy it.
func stablePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 20000 + mathrand.IntN(10000)
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", ":"+strconv.Itoa(port))
		if err == nil {
			require.NoError(t, listener.Close())
			return port
		}
	}
	require.FailNow(t, "no free port between 20000 and 30000")
	return 0
}
