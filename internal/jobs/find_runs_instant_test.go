package jobs_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/clock"
	"punctual/internal/history"
	"punctual/internal/jobs"
	"punctual/internal/testdb/enginetest"
)

// Thousands of jobs are due at one instant, as at each full minute, and each has a run then: the
// first page of the list has the newest of them.
func TestFindRunsOfOneInstant(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	at := e.Now().Add(-50 * time.Second)
	require.NoError(t, history.CreatePartitions(t.Context(), e.Queries, []time.Time{at, at.Add(-time.Minute)}))
	template := e.Create(`{"name":"minutely","intervalInSeconds":60}`).Job.ID
	e.Exec(`
		with made as (
			insert into jobs (
				id, namespace, name, payload, interval_seconds, anchor_at, jitter_seconds, delete_after_completion, misfire_policy,
				overlap_policy, max_attempts, min_backoff_seconds, max_backoff_seconds, attempt_deadline_seconds, run_history, target,
				status, created_at, updated_at, updated_by
			)
			select gen_random_uuid(), namespace, name, payload, interval_seconds, anchor_at, jitter_seconds, delete_after_completion,
				misfire_policy, overlap_policy, max_attempts, min_backoff_seconds, max_backoff_seconds, attempt_deadline_seconds,
				run_history, target, 'COMPLETED', created_at, updated_at, updated_by
			from jobs, generate_series(1, 6000)
			where id = $1
			returning id
		)
		insert into runs (job_id, scheduled_for, started_at, finished_at, attempt, occurrences, status)
		select id, s.at, s.at, s.at, 1, 1, 'SUCCEEDED' from made, unnest($2::timestamptz[]) as s (at)`,
		template, []time.Time{at, at.Add(-time.Minute)})
	page, next, err := e.Jobs.FindRuns(t.Context(), enginetest.By, jobs.RunFilter{}, history.Place{At: clock.EndOfTime}, 10)
	require.NoError(t, err)
	require.Len(t, page, 10)
	require.True(t, at.Equal(page[9].ScheduledFor))
	require.NotNil(t, next)
}
