package jobs_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/testdb/enginetest"
)

// When a job is deleted after its last run, no worker gets another of its runs: what it was to do
// is deleted too.
func TestRunsThatWaitForWorkersEndWithADeletedJob(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	job := e.Create(`{"name":"x","intervalInSeconds":60,"maxRuns":2,"deleteAfterCompletion":true,
		"target":{"type":"worker","queue":"q"}}`).Job.ID
	e.Exec(`update jobs set anchor_at = anchor_at - interval '1 hour'`)
	now := e.Now()
	done, err := e.Jobs.Backfill(t.Context(), enginetest.By, job, now.Add(-30*time.Minute), now)
	require.NoError(t, err)
	require.Greater(t, done.Runs, 4)
	for range 2 {
		e.End(e.LeaseOne("q"), nil)
	}
	require.Equal(t, 1, e.Count(`select count(*) from jobs where deleted_at is not null`))
	require.Zero(t, e.Count(`select count(*) from due where awaits_worker`))
}
