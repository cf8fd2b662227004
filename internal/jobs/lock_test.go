package jobs_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/jobs"
	"punctual/internal/testdb/enginetest"
)

// afterWaiting does something that has to wait for the lock of a job until an instant has passed.
func afterWaiting(t *testing.T, e *enginetest.Engine, job uuid.UUID, until time.Time, do func() error) {
	t.Helper()
	lock, err := e.Pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = db.New(lock).LockJob(t.Context(), db.LockJobParams{ID: job, Namespace: access.DefaultNamespace})
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- do() }()
	assert.Eventually(t, func() bool {
		now, err := e.DatabaseTime(t.Context())
		return err == nil && now.After(until) && e.Count(`select count(*) from pg_stat_activity
			where datname = current_database() and wait_event_type = 'Lock'`) > 0
	}, 10*time.Second, 5*time.Millisecond, "it waits for the lock")
	require.NoError(t, lock.Rollback(t.Context()))
	require.NoError(t, <-done)
}

// A change counts from when it has the lock of its job, not from when it was asked for.
func TestChangeThatWaitsForTheLock(t *testing.T) {
	t.Parallel()
	// What is due while it waits can be backfilled like what was due before.
	t.Run("backfill", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Create(`{"name":"each-second","cron":"* * * * * *"}`).Job.ID
		e.Edit(job, `{"status":"PAUSED"}`)
		to := e.Now().Truncate(time.Second).Add(2 * time.Second)
		afterWaiting(t, e, job, to, func() error {
			_, err := e.Jobs.Backfill(t.Context(), enginetest.By, job, to, to)
			return err
		})
	})
	// What the new schedule says of the time for which the edit waited was not missed.
	t.Run("edit", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Due(``).Job.ID
		run := e.Begin()
		passes := e.Now().UTC().Truncate(time.Second).Add(2 * time.Second)
		var change jobs.Change
		body := fmt.Sprintf(`{"cron":"%d * * * * *"}`, passes.Second())
		require.NoError(t, json.Unmarshal([]byte(body), &change))
		afterWaiting(t, e, job, passes, func() error {
			_, err := e.Jobs.Update(t.Context(), enginetest.By, job, change)
			return err
		})
		e.End(run, nil)
		require.Len(t, e.Runs(job), 1, "it was executed, and nothing is skipped")
		require.WithinDuration(t, passes.Add(time.Minute), *e.Job(job).NextRunAt, 0)
	})
}
