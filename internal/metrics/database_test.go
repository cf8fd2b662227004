package metrics_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/internal/cells"
	"punctual/internal/database"
	"punctual/internal/metrics"
	"punctual/internal/testdb"
)

// setup returns a registry that reads a database of its own, and connections to that.
func setup(t *testing.T) (*metrics.Registry, *pgxpool.Pool) {
	t.Helper()
	url := testdb.New(t)
	limited, err := database.OpenLimited(t.Context(), url, database.Limits{Connections: 1, Acquire: time.Second, Statement: time.Second})
	require.NoError(t, err)
	t.Cleanup(limited.Close)
	pool, err := pgxpool.New(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return metrics.New(metrics.Config{Cells: cells.New(limited)}), pool
}

// store stores as many jobs, each with a row of due that has been ready for a minute.
func store(t *testing.T, pool *pgxpool.Pool, jobs int, target string) {
	t.Helper()
	_, err := pool.Exec(t.Context(), `
		with job as (
			insert into jobs (
				id, namespace, updated_by, name, payload, interval_seconds, anchor_at, jitter_seconds, delete_after_completion, misfire_policy,
				overlap_policy, max_attempts, min_backoff_seconds, max_backoff_seconds, attempt_deadline_seconds,
				run_history, target, status, created_at, updated_at
			)
			select gen_random_uuid(), 'default', 'test', 'job ' || n, '{}', 60, now(), 0, false, 'SKIP', 'SKIP', 1, 0, 0, 60, 'ALL',
				replace($2, 'N', n::text)::json, 'ACTIVE', now(), now()
			from generate_series(1, $1) n
			returning id, qualified_queue
		)
		insert into due (job_id, scheduled_for, ready_at, carries_schedule, queue, awaits_worker)
		select id, now() - interval '1 minute', now() - interval '1 minute', true, qualified_queue, qualified_queue is not null
		from job`, jobs, target)
	require.NoError(t, err)
}

// What is counted ends somewhere, and so does the number of series.
func TestDatabase_bounds(t *testing.T) {
	t.Parallel()
	r, pool := setup(t)
	store(t, pool, 10_100, `{"type": "log"}`)
	store(t, pool, 120, `{"type": "worker", "queue": "qN"}`)
	store(t, pool, 3, `{"type": "worker", "queue": "q1"}`)
	scraped := scrape(t, r)
	requireValue(t, 10_000, scraped, "punctual_due_runs")
	requireValue(t, 4, scraped, `punctual_queue_waiting_runs{namespace="default",queue="q1"}`)
	requireValue(t, 1, scraped, "punctual_queues_left_out")
	require.Equal(t, 100, countSeries(scraped, "punctual_queue_waiting_runs"))
	require.Equal(t, 100, countSeries(scraped, "punctual_queue_oldest_age_seconds"))
}

// Jobs have series only if they ask for them.
func TestDatabase_jobs(t *testing.T) {
	t.Parallel()
	r, pool := setup(t)
	store(t, pool, 3, `{"type": "log"}`)
	exec := func(sql string) {
		_, err := pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	exec(`update jobs set metrics = true, key = 'good' where name = 'job 1'`)
	exec(`update jobs set metrics = true, key = 'bad' where name = 'job 2'`)
	exec(`update due set last_run_for = '2026-01-02 00:00:00+00', last_run_at = '2026-01-02 00:00:01+00',
		last_run_status = (case j.name when 'job 1' then 'SUCCEEDED' else 'FAILED' end)::run_status, failures = case j.name when 'job 1' then 0 else 2 end
		from jobs j where j.id = job_id`)
	exec(`create table runs_then partition of runs for values from ('2026-01-01 00:00:00+00') to ('2026-01-03 00:00:00+00')`)
	exec(`insert into runs (job_id, scheduled_for, started_at, finished_at, status, attempt, occurrences, error)
		select j.id, r.at::timestamptz, r.at::timestamptz, r.at::timestamptz, r.status::run_status, 1, 1, r.error
		from jobs j, (values ('2026-01-01 00:00:00+00', 'SUCCEEDED', null), ('2026-01-01 12:00:00+00', 'FAILED', 'no'), ('2026-01-02 00:00:00+00', 'FAILED', 'no')) r (at, status, error)
		where j.name = 'job 2'`)
	exec(`insert into expected_successes (job_id, namespace, expected_by, overdue_since) select id, namespace, now(), now() from jobs where name = 'job 2'`)
	scraped := scrape(t, r)
	of := func(at string) float64 {
		instant, err := time.Parse(time.RFC3339, at)
		require.NoError(t, err)
		return float64(instant.Unix())
	}
	requireValue(t, of("2026-01-02T00:00:01Z"), scraped, `punctual_job_last_success_timestamp_seconds{job_key="good",namespace="default"}`)
	requireValue(t, of("2026-01-01T00:00:00Z"), scraped, `punctual_job_last_success_timestamp_seconds{job_key="bad",namespace="default"}`)
	requireValue(t, 0, scraped, `punctual_job_overdue{job_key="good",namespace="default"}`)
	requireValue(t, 1, scraped, `punctual_job_overdue{job_key="bad",namespace="default"}`)
	require.Equal(t, 2, countSeries(scraped, "punctual_job_overdue"))
	requireValue(t, 2, scraped, "punctual_failing_jobs") // the third has failed, too
	requireValue(t, 1, scraped, "punctual_overdue_jobs")
}

// A scrape is answered in time although a table is locked, with what does not need that.
func TestDatabase_lockedTable(t *testing.T) {
	t.Parallel()
	r, pool := setup(t)
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "lock table due in access exclusive mode")
	require.NoError(t, err)
	began := time.Now()
	scraped := scrape(t, r)
	require.Less(t, time.Since(began), 8*time.Second)
	requireValue(t, 0, scraped, `punctual_database_read_success{read="due"}`)
	requireValue(t, 1, scraped, `punctual_database_read_success{read="state"}`)
	requireValue(t, 0, scraped, "punctual_instances")
	require.Zero(t, countSeries(scraped, "punctual_due_runs"), "what is not known is not served")
	require.NotZero(t, countSeries(scraped, "punctual_runs_total"), "what needs no database is there")
	require.NoError(t, tx.Rollback(t.Context()))
}

func TestDatabase_unreachable(t *testing.T) {
	t.Parallel()
	pool, err := database.OpenLimited(t.Context(), "postgres://nobody@127.0.0.1:1/none", database.Limits{Connections: 1, Acquire: time.Second})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	scraped := scrape(t, metrics.New(metrics.Config{Cells: cells.New(pool)}))
	require.Equal(t, 6, countSeries(scraped, "punctual_database_read_success"))
	requireValue(t, 0, scraped, `punctual_database_read_success{read="state"}`)
	require.NotZero(t, countSeries(scraped, "punctual_runs_total"))
}
