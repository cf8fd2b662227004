package maintenance_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"punctual/gen/db"
	"punctual/internal/history"
	"punctual/internal/maintenance"
	"punctual/internal/testdb"
)

// addJob stores a job of a namespace that was deleted so many days ago; negative: it is not.
func addJob(t *testing.T, pool *pgxpool.Pool, namespace string, deletedDaysAgo int) (id uuid.UUID) {
	t.Helper()
	columns := testdb.Columns(t, pool, "jobs")
	require.NoError(t, pool.QueryRow(t.Context(), `
		insert into jobs (`+columns+`)
		select `+columns+`
		from jsonb_populate_record(null::jobs, jsonb_build_object(
			'id', gen_random_uuid(), 'namespace', $1::text, 'name', 'x', 'description', '', 'failures', 0, 'payload', '{}'::jsonb,
			'target', '{}'::jsonb, 'secret_names', '[]'::jsonb, 'run_at', now(),
			'jitter_seconds', 0, 'on_demand', false, 'on_skipped', 'DROP', 'alert_after_failures', 1, 'delete_after_completion', false, 'misfire_policy', 'SKIP', 'overlap_policy', 'SKIP',
			'max_attempts', 1, 'min_backoff_seconds', 0, 'max_backoff_seconds', 0, 'attempt_deadline_seconds', 1,
			'run_history', 'ALL', 'status', 'COMPLETED', 'run_count', 0, 'created_at', now() - interval '90 days',
			'version', 1, 'updated_by', 'test', 'suspended', false, 'metrics', false, 'public_badge', false, 'paused_by_service', false, 'updated_at', now(),
			'deleted_at', case when $2::integer >= 0 then now() - make_interval(days => $2) end)) as job
		returning id`, namespace, deletedDaysAgo).Scan(&id))
	return id
}

// addRuns stores so many runs of a job for each of the last days, today included.
func addRuns(t *testing.T, pool *pgxpool.Pool, job uuid.UUID, days, each int) {
	t.Helper()
	_, err := pool.Exec(t.Context(), `
		insert into runs (job_id, scheduled_for, started_at, finished_at, status, attempt, occurrences)
		select $1, at, at, at, 'SUCCEEDED', 1, 1
		from generate_series(0, $2 - 1) as day, generate_series(1, $3) as n,
			lateral (select ((now() at time zone 'UTC')::date - day)::timestamp at time zone 'UTC' + make_interval(secs => n) as at) a`,
		job, days, each)
	require.NoError(t, err)
}

// runsOf returns how many runs a job has, by how many days ago they were scheduled.
func runsOf(t *testing.T, pool *pgxpool.Pool, job uuid.UUID) map[int]int {
	t.Helper()
	rows, err := pool.Query(t.Context(), `
		select (now() at time zone 'UTC')::date - (scheduled_for at time zone 'UTC')::date, count(*)
		from runs where job_id = $1 group by 1`, job)
	require.NoError(t, err)
	all := map[int]int{}
	var day, n int
	_, err = pgx.ForEachRow(rows, []any{&day, &n}, func() error { all[day] = n; return nil })
	require.NoError(t, err)
	return all
}

func addNamespace(t *testing.T, pool *pgxpool.Pool, name string, retentionDays *int) {
	t.Helper()
	_, err := pool.Exec(t.Context(), "insert into namespaces (name, description, run_retention_days) values ($1, '', $2)", name, retentionDays)
	require.NoError(t, err)
}

func TestNamespaceRetention(t *testing.T) {
	t.Parallel()

	t.Run("deletes the old runs of its namespace only, and then its deleted jobs", func(t *testing.T) {
		t.Parallel()
		_, pool := setup(t)
		testdb.CreateDays(t, pool, time.Now(), 10)
		addNamespace(t, pool, "short", new(3))
		addNamespace(t, pool, "long", nil)
		short, long := addJob(t, pool, "short", -1), addJob(t, pool, "long", -1)
		old, recent, other := addJob(t, pool, "short", 5), addJob(t, pool, "short", 2), addJob(t, pool, "long", 5)
		for _, job := range []uuid.UUID{short, long, old, recent, other} {
			addRuns(t, pool, job, 10, 2)
		}
		duty := maintenance.NamespaceRetention(pool, 30)
		result, err := duty.Pass(t.Context())
		require.NoError(t, err)
		require.Equal(t, maintenance.Result{Count: 3 * 6 * 2}, result)
		for _, job := range []uuid.UUID{short, old, recent} {
			require.Equal(t, map[int]int{0: 2, 1: 2, 2: 2, 3: 2}, runsOf(t, pool, job))
		}
		require.Len(t, runsOf(t, pool, long), 10)
		require.Len(t, runsOf(t, pool, other), 10)
		var kept []uuid.UUID
		require.NoError(t, pool.QueryRow(t.Context(), "select array_agg(id) from jobs").Scan(&kept))
		require.ElementsMatch(t, []uuid.UUID{short, long, recent, other}, kept, "of a deleted job nothing is found any more")

		result, err = duty.Pass(t.Context())
		require.NoError(t, err)
		require.Zero(t, result, "doing it twice is harmless")

		_, err = pool.Exec(t.Context(), "update namespaces set run_retention_days = 1 where name = 'short'")
		require.NoError(t, err)
		_, err = duty.Pass(t.Context())
		require.NoError(t, err)
		require.Equal(t, map[int]int{0: 2, 1: 2}, runsOf(t, pool, short), "a shorter retention holds from the next pass on")
		_, err = pool.Exec(t.Context(), "update namespaces set run_retention_days = 9 where name = 'short'")
		require.NoError(t, err)
		_, err = duty.Pass(t.Context())
		require.NoError(t, err)
		require.Len(t, runsOf(t, pool, short), 2, "a longer one deletes nothing")
	})

	t.Run("goes on where it stopped, oldest first", func(t *testing.T) {
		t.Parallel()
		_, pool := setup(t)
		testdb.CreateDays(t, pool, time.Now(), 5)
		addNamespace(t, pool, "busy", new(1))
		job := addJob(t, pool, "busy", -1)
		addRuns(t, pool, job, 5, 40_000)
		duty := maintenance.NamespaceRetention(pool, 0)
		result, err := duty.Pass(t.Context())
		require.NoError(t, err)
		require.Equal(t, maintenance.Result{Count: 100_000, Next: time.Second}, result, "a pass is bounded, and the next one comes soon")
		require.Equal(t, map[int]int{0: 40_000, 1: 40_000, 2: 20_000}, runsOf(t, pool, job))
		result, err = duty.Pass(t.Context())
		require.NoError(t, err)
		require.Equal(t, maintenance.Result{Count: 20_000}, result)
		require.Equal(t, map[int]int{0: 40_000, 1: 40_000}, runsOf(t, pool, job))
		var until, want time.Time
		require.NoError(t, pool.QueryRow(t.Context(), `select runs_deleted_before, (now() at time zone 'UTC')::date - 1
			from namespaces where name = 'busy'`).Scan(&until, &want))
		require.Equal(t, want, until)
	})

	t.Run("keeps the days of a month that are to be kept", func(t *testing.T) {
		t.Parallel()
		_, pool := setup(t)
		_, err := pool.Exec(t.Context(), "select create_runs_partition((now() at time zone 'UTC')::date - 100)")
		require.NoError(t, err)
		var first, last int // in days before today
		require.NoError(t, pool.QueryRow(t.Context(), `select (now() at time zone 'UTC')::date - first_day,
			(now() at time zone 'UTC')::date - last_day from runs_partitions`).Scan(&first, &last))
		require.Greater(t, first-last, 20, "it is a month")
		addNamespace(t, pool, "middle", new(first-10))
		job := addJob(t, pool, "middle", -1)
		_, err = pool.Exec(t.Context(), `
			insert into runs (job_id, scheduled_for, started_at, finished_at, status, attempt, occurrences)
			select $1, at, at, at, 'SUCCEEDED', 1, 1
			from generate_series($2::integer, $3) as day,
				lateral (select ((now() at time zone 'UTC')::date - day)::timestamp at time zone 'UTC' as at) a`, job, last, first)
		require.NoError(t, err)
		result, err := maintenance.NamespaceRetention(pool, 0).Pass(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 10, result.Count)
		require.Len(t, runsOf(t, pool, job), first-last-9)
	})

	t.Run("deletes what another instance has not reached", func(t *testing.T) {
		t.Parallel()
		_, pool := setup(t)
		testdb.CreateDays(t, pool, time.Now(), 5)
		addNamespace(t, pool, "shared", new(1))
		job := addJob(t, pool, "shared", -1)
		addRuns(t, pool, job, 3, 12_000)
		tx, err := pool.Begin(t.Context())
		require.NoError(t, err)
		_, err = history.Queries(tx).DeleteRunsOfJobs(t.Context(), db.DeleteRunsOfJobsParams{
			Namespace: "shared", Days: 1, JobIds: []uuid.UUID{job}, Since: today().AddDate(0, 0, -2), Before: today().AddDate(0, 0, -1), MaxRows: 5000,
		})
		require.NoError(t, err)
		var pass errgroup.Group
		pass.Go(func() error {
			_, err := maintenance.NamespaceRetention(pool, 0).Pass(t.Context())
			return err
		})
		requireWaits(t, pool)
		require.NoError(t, tx.Commit(t.Context())) // and that is the last that this instance did
		require.NoError(t, pass.Wait())
		require.Equal(t, map[int]int{0: 12_000, 1: 12_000}, runsOf(t, pool, job))
	})

	t.Run("goes by the retention that there is now", func(t *testing.T) {
		t.Parallel()
		q, pool := setup(t)
		testdb.CreateDays(t, pool, time.Now(), 10)
		addNamespace(t, pool, "changed", new(1))
		job := addJob(t, pool, "changed", -1)
		addRuns(t, pool, job, 10, 1)
		retain := func(days *int32) {
			t.Helper()
			_, err := q.UpdateNamespace(t.Context(), db.UpdateNamespaceParams{Name: "changed", RunRetentionDays: days})
			require.NoError(t, err)
		}
		// A pass is held up after it has looked which namespaces have old runs.
		tx, err := pool.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), "select from runs where job_id = $1 for update", job)
		require.NoError(t, err)
		var pass errgroup.Group
		pass.Go(func() error {
			_, err := maintenance.NamespaceRetention(pool, 0).Pass(t.Context())
			return err
		})
		requireWaits(t, pool)
		retain(new(int32(5)))
		require.NoError(t, tx.Commit(t.Context()))
		require.NoError(t, pass.Wait())
		require.Subset(t, runsOf(t, pool, job), map[int]int{0: 1, 1: 1, 2: 1, 3: 1, 4: 1, 5: 1}, "a longer one holds at once")
		next := maintenance.NamespaceRetention(pool, 0)
		_, err = next.Pass(t.Context())
		require.NoError(t, err)
		require.Len(t, runsOf(t, pool, job), 6)

		// Without one, runs of earlier days may be backfilled.
		retain(nil)
		_, err = pool.Exec(t.Context(), "delete from runs where job_id = $1", job)
		require.NoError(t, err)
		addRuns(t, pool, job, 10, 1)
		_, err = next.Pass(t.Context())
		require.NoError(t, err)
		require.Len(t, runsOf(t, pool, job), 10)
		retain(new(int32(5)))
		_, err = next.Pass(t.Context())
		require.NoError(t, err)
		require.Len(t, runsOf(t, pool, job), 6, "what came after an earlier retention is deleted, too")
	})

	t.Run("locks one partition in a transaction", func(t *testing.T) {
		t.Parallel()
		_, pool := setup(t)
		testdb.CreateDays(t, pool, time.Now(), 60)
		addNamespace(t, pool, "short", new(29))
		job := addJob(t, pool, "short", -1)
		addRuns(t, pool, job, 60, 1)
		for range 7 { // of which the last would be planned for any arguments
			tx, err := pool.Begin(t.Context())
			require.NoError(t, err)
			n, err := history.Queries(tx).DeleteRunsOfJobs(t.Context(), db.DeleteRunsOfJobsParams{
				Namespace: "short", Days: 29, JobIds: []uuid.UUID{job}, Since: today().AddDate(0, 0, -30), Before: today().AddDate(0, 0, -29), MaxRows: 10,
			})
			require.NoError(t, err)
			require.Equal(t, db.DeleteRunsOfJobsRow{Found: 1, Deleted: 1}, n)
			require.Less(t, locks(t, tx), 20, "the table of locks has room for thousands")
			require.NoError(t, tx.Rollback(t.Context()))
		}
	})
}

// requireWaits waits until a session of the database waits for a lock of another.
func requireWaits(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		var waits bool
		require.NoError(c, pool.QueryRow(t.Context(), "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')").Scan(&waits))
		require.True(c, waits)
	}, 20*time.Second, 10*time.Millisecond)
}

func today() time.Time { return time.Now().UTC().Truncate(24 * time.Hour) }

// locks returns how many locks a transaction holds.
func locks(t *testing.T, tx interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
},
) (n int) {
	t.Helper()
	require.NoError(t, tx.QueryRow(t.Context(), "select count(*) from pg_locks where pid = pg_backend_pid()").Scan(&n))
	return n
}
