//go:build chaos

package chaos

import (
	"context"
	"fmt"
	"net/url"
	"os"
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

// A base backup is restored up to an instant, while instances run. They go on without a restart.
func TestRestore_pointInTime(t *testing.T) {
	p := startPostgres(t, "127.0.0.1")
	archive, backup := filepath.Join(p.root, "archive"), filepath.Join(p.root, "backup")
	require.NoError(t, os.Mkdir(archive, 0o700))
	p.own(t, archive)
	s := &system{postgres: p, db: p.connect(t), url: p.url("127.0.0.1")}
	for _, sql := range []string{"alter system set archive_mode = on", fmt.Sprintf("alter system set archive_command = 'cp %%p %s/%%f'", archive)} {
		_, err := s.db.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	p.crash() // the archive begins with the next start
	p.start(t)
	s.add(t)
	s.add(t)
	s.load(t)
	p.run(t, "pg_basebackup", "--dbname="+s.url, "--pgdata="+backup, "--checkpoint=fast", "--no-sync")
	s.executeFor(t, 3*time.Second)
	until := s.now(t)
	s.executeFor(t, 3*time.Second)
	s.archiveAll(t)
	p.kill(t)

	p.data = backup
	settings, err := os.OpenFile(filepath.Join(backup, "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = fmt.Fprintf(settings, "restore_command = 'cp %s/%%f %%p'\nrecovery_target_time = '%s'\nrecovery_target_action = 'promote'\n",
		archive, until.UTC().Format("2006-01-02 15:04:05.000000+00"))
	require.NoError(t, err)
	require.NoError(t, settings.Close())
	signal := filepath.Join(backup, "recovery.signal")
	require.NoError(t, os.WriteFile(signal, nil, 0o600))
	p.own(t, signal)
	p.start(t)
	s.executeFor(t, time.Second)
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

// own gives a file to the user of the server.
func (p *postgres) own(t *testing.T, path string) {
	t.Helper()
	if p.credential != nil {
		require.NoError(t, os.Chown(path, int(p.credential.Uid), int(p.credential.Gid)))
	}
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

// archiveAll waits until everything that is committed is in the archive.
func (s *system) archiveAll(t *testing.T) {
	t.Helper()
	var wal string
	require.NoError(t, s.db.QueryRow(t.Context(), "select pg_walfile_name(pg_switch_wal())").Scan(&wal))
	eventually(t, time.Minute, func() bool {
		var isArchived bool
		err := s.db.QueryRow(t.Context(), "select coalesce(last_archived_wal >= $1, false) from pg_stat_archiver", wal).Scan(&isArchived)
		return err == nil && isArchived
	}, "the log is archived")
}
