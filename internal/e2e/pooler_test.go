package e2e

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"punctual/internal/app"
	"punctual/internal/testdb"
	"punctual/internal/testdb/need"
)

// In transaction mode no two statements need the same session. All works behind it, with the
// statement cache that the README names, and a direct URL for statements that do need
// a session.
func TestPgBouncer(t *testing.T) {
	t.Parallel()
	testdb.NotOnCitus(t, "a pooler does not pass on the schema")
	binary := need.Program(t, "pgbouncer", "pgbouncer")
	direct := testdb.New(t)
	pooled := pgbouncer(t, binary, direct)

	service := start(t, app.Config{Role: app.RoleAll, PollInterval: never, Database: app.DatabaseConfig{
		URL: pooled + "&default_query_exec_mode=cache_describe", DirectURL: direct,
	}})
	job := service.createJob(t, "pooled", 1, `{"a":1}`)
	waitForRuns(t, service, job.Id, 3)
	require.Equal(t, 200, service.patch(t, job.Id, `{"intervalInSeconds":2}`).StatusCode())
}

// pgbouncer starts a PgBouncer in front of a database and returns the URL through it.
func pgbouncer(t *testing.T, binary, database string) string {
	t.Helper()
	config, err := pgx.ParseConfig(database)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	require.NoError(t, listener.Close())

	dir, err := os.MkdirTemp("", "punctual-pgbouncer-") //nolint:usetesting // its user must be able to enter it
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	ini := filepath.Join(dir, "pgbouncer.ini")
	require.NoError(t, os.WriteFile(ini, fmt.Appendf(nil, `
[databases]
pooled = host=%s port=%d dbname=%s user=%s password=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
ignore_startup_parameters = extra_float_digits
`, config.Host, config.Port, config.Database, config.User, config.Password, port), 0o644))

	cmd := exec.Command(binary, "--quiet", ini)
	cmd.Stderr = t.Output()
	if os.Geteuid() == 0 { // as which it refuses to run
		nobody, err := user.Lookup("nobody")
		require.NoError(t, err)
		uid, _ := strconv.Atoi(nobody.Uid)
		gid, _ := strconv.Atoi(nobody.Gid)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	}, 10*time.Second, 20*time.Millisecond, "pgbouncer listens")
	u := url.URL{
		Scheme:   "postgres",
		User:     url.User(config.User),
		Host:     address,
		Path:     "/pooled",
		RawQuery: "sslmode=disable",
	}
	return u.String()
}
