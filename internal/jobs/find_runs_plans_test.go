package jobs

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/clock"
	"punctual/internal/database"
	"punctual/internal/history"
	"punctual/internal/labels"
	"punctual/internal/testdb"
)

// No filter of a list of runs reads a whole table: neither jobs, nor due, nor a partition of runs.
func TestFindRunsPlans(t *testing.T) {
	t.Parallel()
	pool, err := database.Open(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	fillJobs(t, pool, 30_000)
	day := time.Now().UTC().Truncate(24 * time.Hour).Add(-24 * time.Hour)
	require.NoError(t, history.CreatePartitions(t.Context(), db.New(pool), []time.Time{day}))
	for _, statement := range []string{
		`insert into runs (job_id, scheduled_for, started_at, finished_at, status, reason, error, trigger, attempt, occurrences)
		select id, at, at, at, case when n % 100 = 1 then 'FAILED' else 'SUCCEEDED' end::run_status,
			case when n % 1000 = 1 then 'DEADLINE_EXCEEDED' end::run_reason, case when n % 100 = 1 then 'no' end,
			case when n % 500 = 2 then 'MANUAL' else 'SCHEDULE' end::run_trigger, 1, 1
		from (
			select id, n, date_trunc('day', now() at time zone 'UTC') at time zone 'UTC'
				- interval '1 day' + n * interval '0.7 seconds' as at
			from (select id, row_number() over () as n from jobs, generate_series(1, 4)) j
			order by n
		) r`, `vacuum analyze jobs, due, runs`,
	} {
		_, err = pool.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	var of uuid.UUID
	require.NoError(t, pool.QueryRow(t.Context(), `select id from jobs where namespace = 'default' limit 1`).Scan(&of))
	selector := func(text string) labels.Selector {
		s, err := labels.ParseSelector(text)
		require.NoError(t, err)
		return s
	}
	for name, filter := range map[string]RunFilter{
		"all":                     {},
		"failed":                  {Statuses: []string{"FAILED"}},
		"succeeded":               {Statuses: []string{"SUCCEEDED"}},
		"open":                    {Statuses: []string{"PENDING", "RUNNING"}},
		"open and failed":         {Statuses: []string{"PENDING", "FAILED"}},
		"a reason":                {Reasons: []string{"DEADLINE_EXCEEDED"}},
		"a reason that none has":  {Reasons: []string{"OVERLAP", "MISFIRE"}},
		"by hand":                 {Triggers: []string{"MANUAL"}},
		"by schedule":             {Triggers: []string{"SCHEDULE"}},
		"a job":                   {JobID: &of},
		"a job, failed":           {JobID: &of, Statuses: []string{"FAILED"}},
		"a label of few":          {Labels: selector("legacy")},
		"a label of many":         {Labels: selector("example.com/env=prod")},
		"a label of many, failed": {Labels: selector("example.com/env=prod"), Statuses: []string{"FAILED"}},
		"the lack of a label":     {Labels: selector("!team")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var found executed
			config := pool.Config()
			config.ConnConfig.Tracer, config.MaxConns = &found, 1
			traced, err := pgxpool.NewWithConfig(t.Context(), config)
			require.NoError(t, err)
			defer traced.Close()
			f := setupOn(t, traced)
			for _, to := range []time.Time{time.Now(), day.Add(20 * time.Hour)} {
				filter.From, filter.To = &day, &to
				_, _, err = f.FindRuns(t.Context(), me, filter, history.Place{At: clock.EndOfTime}, 10)
				require.NoError(t, err)
			}
			if filter.JobID != nil {
				_, _, err = f.FindRunsOf(t.Context(), me, of, filter, history.Place{At: clock.EndOfTime}, 10)
				require.NoError(t, err)
			}
			explained := 0
			for _, s := range found.all {
				// A count may begin at either end of a partition, because it ends after some rows.
				if !strings.Contains(s.SQL, "-- name:") || strings.Contains(s.SQL, "CountRunsWithin") {
					continue
				}
				plan, err := pgx.CollectRows(must(pool.Query(t.Context(), "explain "+s.SQL, s.Args...)), pgx.RowTo[string])
				require.NoError(t, err)
				for _, line := range plan {
					for _, table := range []string{"jobs", "due", "runs_" + day.Format("20060102")} {
						require.NotContains(t, line+" ", "Seq Scan on "+table+" ", "%s\n%s", s.SQL, strings.Join(plan, "\n"))
					}
				}
				explained++
			}
			require.Positive(t, explained)
		})
	}
}
