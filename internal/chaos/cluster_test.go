//go:build chaos

package chaos

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// cluster is a primary with a synchronous standby. The test does what a cluster manager does: it
// promotes the standby, and makes the former primary the new standby.
type cluster struct {
	primary, standby *postgres
	db               *pgxpool.Pool // the test's own connections, to the primary
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	p := startPostgres(t, "127.0.0.1")
	standby := *p
	standby.data, standby.port = filepath.Join(p.root, "standby"), stablePort(t)
	c := &cluster{primary: p, standby: &standby}
	c.openPool(t)
	c.follow(t)
	t.Cleanup(func() { c.standby.crash() })
	return c
}

// url returns the URL of the database, whichever of the two is the primary.
func (c *cluster) url() string {
	first, second := c.primary.port, c.standby.port
	if first > second { // the same at all times
		first, second = second, first
	}
	at := func(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(role, c.primary.password), Host: at(first) + "," + at(second), Path: "/postgres",
		RawQuery: "sslmode=disable&target_session_attrs=read-write",
	}
	return u.String()
}

func (c *cluster) openPool(t *testing.T) {
	t.Helper()
	config, err := pgxpool.ParseConfig(c.url())
	require.NoError(t, err)
	config.ConnConfig.RuntimeParams["application_name"] = observer
	config.ConnConfig.ConnectTimeout = 2 * time.Second // a server that is stopped does not answer
	c.db, err = pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(c.db.Close)
}

// follow copies the primary to the standby's place, starts the standby, and waits until it follows.
func (c *cluster) follow(t *testing.T) {
	t.Helper()
	require.NoError(t, os.RemoveAll(c.standby.data))
	from := fmt.Sprintf("host=127.0.0.1 port=%d user=%s application_name=standby", c.primary.port, role)
	copying := c.primary.command("pg_basebackup", "--dbname="+from, "--pgdata="+c.standby.data, "--write-recovery-conf",
		"--checkpoint=fast", "--no-sync")
	copying.Env = append(copying.Env, "PGPASSWORD="+c.primary.password)
	out, err := copying.CombinedOutput()
	require.NoError(t, err, "the primary is copied: %s", out)
	c.standby.start(t)
	c.settings(t, c.primary, "alter system set synchronous_standby_names = 'standby'")
	eventually(t, time.Minute, func() bool {
		var follows bool
		err := c.db.QueryRow(t.Context(), `select exists (
			select from pg_stat_replication where application_name = 'standby' and state = 'streaming' and sync_state = 'sync')`).Scan(&follows)
		return err == nil && follows
	}, "the standby follows")
}

// settings changes the settings of a server.
func (c *cluster) settings(t *testing.T, of *postgres, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), of.url("127.0.0.1"))
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	for _, statement := range []string{sql, "select pg_reload_conf()"} {
		_, err = conn.Exec(t.Context(), statement)
		require.NoError(t, err, statement)
	}
}

// promote makes the standby the primary.
func (c *cluster) promote(t *testing.T) {
	t.Helper()
	eventually(t, time.Minute, func() bool {
		conn, err := pgx.Connect(t.Context(), c.standby.url("127.0.0.1"))
		if err != nil {
			return false
		}
		defer func() { _ = conn.Close(t.Context()) }() // what it replays may end the session
		var isPrimary bool
		err = conn.QueryRow(t.Context(), "select not pg_is_in_recovery() or pg_promote()").Scan(&isPrimary)
		return err == nil && isPrimary
	}, "the standby is promoted")
	c.primary, c.standby = c.standby, c.primary
	c.db.Reset()
}

// kill ends all processes of the server at once, as if its machine had lost its power.
func (p *postgres) kill(t *testing.T) {
	t.Helper()
	p.signal(t, syscall.SIGSTOP)
	p.signal(t, syscall.SIGKILL)
	_ = p.cmd.Wait() // an error, since it did not end well
}

// signal sends a signal to all processes of the server. To stop them, first to the one that starts
// the others, so that none is missed.
func (p *postgres) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if s == syscall.SIGSTOP {
		require.NoError(t, p.cmd.Process.Signal(s))
	}
	children := childrenOf(t, p.cmd.Process.Pid) // each of them is a process group of its own
	require.NoError(t, p.cmd.Process.Signal(s))
	for _, child := range children {
		err := syscall.Kill(child, s)
		require.True(t, err == nil || errors.Is(err, syscall.ESRCH), "a process may have ended: %v", err)
	}
}

// childrenOf returns the processes that a process has started.
func childrenOf(t *testing.T, pid int) (children []int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	for _, path := range all {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// After the name, which is in parentheses: the state and the parent.
		_, rest, _ := strings.Cut(string(text), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			child, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			require.NoError(t, err)
			children = append(children, child)
		}
	}
	return children
}
