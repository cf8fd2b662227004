package maintenance_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/database"
	"punctual/internal/maintenance"
	"punctual/internal/testdb"
)

func setup(t *testing.T) (*db.Queries, *pgxpool.Pool) {
	t.Helper()
	pool, err := database.Open(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return db.New(pool), pool
}

func partitions(t *testing.T, pool *pgxpool.Pool) (n int) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(), "select count(*) from pg_inherits where inhparent = 'runs'::regclass").Scan(&n))
	return n
}

func TestPartitionsAreMadeOnceByAll(t *testing.T) {
	t.Parallel()
	q, pool := setup(t)
	made := make(chan int64, 8)
	for range cap(made) {
		go func() {
			result, err := maintenance.Partitions(q).Pass(t.Context())
			if err != nil {
				result.Count = -100
			}
			made <- result.Count
		}()
	}
	var all int64
	for range cap(made) {
		all += <-made
	}
	require.EqualValues(t, 4, all, "today and three days, each made by one")
	require.Equal(t, 4, partitions(t, pool))
}

func TestRetentionDropsWholeDaysAndForgetsDeletedJobs(t *testing.T) {
	t.Parallel()
	q, pool := setup(t)
	_, err := pool.Exec(t.Context(), `
		select create_runs_partition((now() at time zone 'UTC')::date - n) from generate_series(0, 9) as n`)
	require.NoError(t, err)
	columns := testdb.Columns(t, pool, "jobs")
	_, err = pool.Exec(t.Context(), `
		insert into jobs (`+columns+`)
		select `+columns+`
		from (values (6), (8)) as deleted (days), jsonb_populate_record(null::jobs, jsonb_build_object(
			'id', '00000000-0000-7000-8000-00000000000' || days, 'name', 'x', 'payload', '{}'::jsonb, 'target', '{}'::jsonb, 'secret_names', '[]'::jsonb, 'run_at', now(),
			'jitter_seconds', 0, 'delete_after_completion', false, 'misfire_policy', 'SKIP', 'overlap_policy', 'SKIP',
			'max_attempts', 1, 'min_backoff_seconds', 0, 'max_backoff_seconds', 0, 'attempt_deadline_seconds', 1,
			'run_history', 'ALL', 'status', 'COMPLETED', 'run_count', 0, 'created_at', now() - interval '9 days',
			'updated_at', now(), 'deleted_at', now() - make_interval(days => days))) as job`)
	require.NoError(t, err)

	retention := maintenance.Retention(q, 7)
	dropped, err := retention.Pass(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, dropped.Count, "days 8 and 9; day 7 may hold runs of seven times 24 hours")
	require.Equal(t, 8, partitions(t, pool))
	var left int
	require.NoError(t, pool.QueryRow(t.Context(), "select count(*) from jobs").Scan(&left))
	require.Equal(t, 1, left)

	dropped, err = retention.Pass(t.Context())
	require.NoError(t, err)
	require.Zero(t, dropped.Count, "doing it twice is harmless")
}

// As long as it waits for somebody who reads, nobody else gets at the runs.
func TestRetentionDoesNotPressWhereSomebodyReads(t *testing.T) {
	t.Parallel()
	q, pool := setup(t)
	_, err := pool.Exec(t.Context(), `select create_runs_partition((now() at time zone 'UTC')::date - 9)`)
	require.NoError(t, err)
	reader, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, reader.Rollback(t.Context())) }()
	_, err = reader.Exec(t.Context(), "select count(*) from runs")
	require.NoError(t, err)
	result, err := maintenance.Retention(q, 7).Pass(t.Context())
	require.ErrorContains(t, err, "lock timeout", "it gives up")
	require.GreaterOrEqual(t, result.Next, 10*time.Minute, "and is not back at once")
}
