package maintenance_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/maintenance"
	"punctual/internal/testdb"
)

func TestRetention(t *testing.T) {
	t.Parallel()

	t.Run("drops whole days and forgets deleted jobs", func(t *testing.T) {
		t.Parallel()
		q, pool := setup(t)
		testdb.CreateDays(t, pool, time.Now(), 10)
		columns := testdb.Columns(t, pool, "jobs")
		_, err := pool.Exec(t.Context(), `
			insert into jobs (`+columns+`)
			select `+columns+`
			from (values (6), (8)) as deleted (days), jsonb_populate_record(null::jobs, jsonb_build_object(
				'id', '00000000-0000-7000-8000-00000000000' || days, 'namespace', 'default', 'name', 'x', 'description', '', 'failures', 0, 'payload', '{}'::jsonb,
				'target', '{}'::jsonb, 'secret_names', '[]'::jsonb, 'run_at', now(),
				'jitter_seconds', 0, 'on_demand', false, 'on_skipped', 'DROP', 'alert_after_failures', 1, 'delete_after_completion', false, 'misfire_policy', 'SKIP', 'overlap_policy', 'SKIP',
				'max_attempts', 1, 'min_backoff_seconds', 0, 'max_backoff_seconds', 0, 'attempt_deadline_seconds', 1,
				'run_history', 'ALL', 'status', 'COMPLETED', 'run_count', 0, 'created_at', now() - interval '9 days',
				'version', 1, 'updated_by', 'test', 'suspended', false, 'metrics', false, 'public_badge', false, 'paused_by_service', false, 'updated_at', now(), 'deleted_at', now() - make_interval(days => days))) as job`)
		require.NoError(t, err)

		retention := maintenance.Retention(q, 7)
		result, err := retention.Pass(t.Context())
		require.NoError(t, err)
		require.Equal(t, maintenance.Result{Count: 2}, result, "days 8 and 9; day 7 may hold runs of seven times 24 hours")
		require.Equal(t, 8, partitions(t, pool))
		var left int
		require.NoError(t, pool.QueryRow(t.Context(), "select count(*) from jobs").Scan(&left))
		require.Equal(t, 1, left)

		result, err = retention.Pass(t.Context())
		require.NoError(t, err)
		require.Zero(t, result, "doing it twice is harmless")
	})

	t.Run("drops a bounded number in each pass and comes back soon", func(t *testing.T) {
		t.Parallel()
		q, pool := setup(t)
		testdb.CreateDays(t, pool, time.Now(), 70)
		retention := maintenance.Retention(q, 7)
		result, err := retention.Pass(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 50, result.Count)
		require.EqualValues(t, 12, result.Left)
		require.LessOrEqual(t, result.Next, 10*time.Second)
		require.Positive(t, result.Next)
		result, err = retention.Pass(t.Context())
		require.NoError(t, err)
		require.Equal(t, maintenance.Result{Count: 12}, result)
	})

	t.Run("drops one partition in a transaction", func(t *testing.T) {
		t.Parallel()
		_, pool := setup(t)
		testdb.CreateDays(t, pool, time.Now(), 30)
		tx, err := pool.Begin(t.Context())
		require.NoError(t, err)
		defer func() { require.NoError(t, tx.Rollback(t.Context())) }()
		dropped, err := db.New(tx).DropOldestRunsPartition(t.Context(), 7)
		require.NoError(t, err)
		require.True(t, dropped)
		var locks int
		require.NoError(t, tx.QueryRow(t.Context(), "select count(*) from pg_locks where pid = pg_backend_pid()").Scan(&locks))
		require.Less(t, locks, 30, "the table of locks has room for thousands")
	})

	t.Run("keeps a month that holds a day to keep", func(t *testing.T) {
		t.Parallel()
		q, pool := setup(t)
		_, err := pool.Exec(t.Context(), "select create_runs_partition((now() at time zone 'UTC')::date - 100)")
		require.NoError(t, err)
		var lastDay int // in days before today
		require.NoError(t, pool.QueryRow(t.Context(),
			"select (now() at time zone 'UTC')::date - last_day from runs_partitions").Scan(&lastDay))
		result, err := maintenance.Retention(q, lastDay).Pass(t.Context())
		require.NoError(t, err)
		require.Zero(t, result.Count)
		result, err = maintenance.Retention(q, lastDay-1).Pass(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 1, result.Count)
	})

	// While it waits for somebody who reads, nobody else gets at the runs.
	t.Run("gives up if somebody reads, and is not back soon", func(t *testing.T) {
		t.Parallel()
		q, pool := setup(t)
		testdb.CreateDays(t, pool, time.Now(), 10)
		reader, err := pool.Begin(t.Context())
		require.NoError(t, err)
		defer func() { require.NoError(t, reader.Rollback(t.Context())) }()
		_, err = reader.Exec(t.Context(), "select count(*) from runs")
		require.NoError(t, err)
		result, err := maintenance.Retention(q, 7).Pass(t.Context())
		require.ErrorContains(t, err, "lock timeout")
		require.GreaterOrEqual(t, result.Next, 10*time.Minute)
	})
}
