//go:build chaos

package chaos

import (
	"context"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// A dump is restored into another database, and instances go on there: each occurrence since the
// dump has a run, and what had run since then runs again with the same run id.
func TestRestore_dump(t *testing.T) {
	s := setup(t, 2)
	s.load(t)
	dump := filepath.Join(s.postgres.root, "dump")
	s.postgres.run(t, "pg_dump", "--format=custom", "--file="+dump, "--dbname="+s.url)
	s.executeFor(t, 3*time.Second)
	for _, i := range s.instances {
		i.stop(t)
	}
	s.instances = nil

	_, err := s.db.Exec(t.Context(), "create database restored")
	require.NoError(t, err)
	restored, err := url.Parse(s.url)
	require.NoError(t, err)
	restored.Path = "/restored"
	s.url = restored.String()
	s.postgres.run(t, "pg_restore", "--exit-on-error", "--dbname="+s.url, dump)
	s.db, err = pgxpool.New(t.Context(), s.url)
	require.NoError(t, err)
	t.Cleanup(s.db.Close)
	s.add(t)
	s.add(t)
	s.verifyRepeated(t)
}

// A standby that is not synchronous lacks the last moments when it is promoted. What had run then
// runs again, with the same run id, and no occurrence is lost.
func TestFailover_asynchronous(t *testing.T) {
	c := startCluster(t)
	c.settings(t, c.primary, "alter system set synchronous_standby_names = ''")
	s := &system{postgres: c.primary, db: c.db, url: c.url()}
	s.add(t)
	s.add(t)
	s.load(t)
	c.settings(t, c.standby, "alter system set primary_conninfo = 'host=127.0.0.1 port=1'") // from now on it receives nothing
	s.executeFor(t, 2*time.Second)
	c.primary.kill(t)
	c.promote(t)
	s.executeFor(t, time.Second)
	s.verifyRepeated(t)
}

// run executes one of PostgreSQL's programs to its end.
func (p *postgres) run(t *testing.T, program string, args ...string) {
	t.Helper()
	out, err := p.command(program, args...).CombinedOutput()
	require.NoError(t, err, "%s: %s", program, out)
}

// executeFor waits until all instances have executed runs for so long.
func (s *system) executeFor(t *testing.T, d time.Duration) {
	t.Helper()
	var from time.Time
	eventually(t, time.Minute, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return s.db.QueryRow(ctx, "select clock_timestamp()").Scan(&from) == nil
	}, "the database answers")
	eventually(t, time.Minute, func() bool { return s.allExecuteSince(t, from.Add(d)) }, "all instances execute runs")
}
