package jobs_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/jobs"
	"punctual/internal/testdb/enginetest"
)

func TestRetry(t *testing.T) {
	t.Parallel()
	retry := func(t *testing.T, e *enginetest.Engine, run uuid.UUID, policy *db.OverlapPolicy) jobs.Run {
		t.Helper()
		again, err := e.Jobs.Retry(t.Context(), enginetest.By, run, policy)
		require.NoError(t, err)
		return again
	}
	// Also while the new run waits for the end of another.
	t.Run("obeys the overlap policy", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		before := e.Due(`,"overlapPolicy":"BUFFER_ONE"`)
		job := before.Job.ID
		first := e.Runs(job)[0]
		id := enginetest.IDOf(first)
		e.Cancel(id)
		e.Execute(1)
		e.Start(job, "")
		executing := e.Begin()
		waits, skipped := retry(t, e, id, nil), retry(t, e, id, nil)
		require.Equal(t, "PENDING", waits.Status)
		require.Equal(t, "SKIPPED", skipped.Status)
		require.WithinDuration(t, first.ScheduledFor, *waits.RetryOf, 0)
		require.WithinDuration(t, first.ScheduledFor, *skipped.RetryOf, 0)
		e.End(executing, nil)
		e.Execute(1)
		ended := e.Run(enginetest.IDOf(waits))
		require.Equal(t, "SUCCEEDED", ended.Status)
		require.Equal(t, db.RunTriggerRETRY, ended.Trigger)
		require.WithinDuration(t, first.ScheduledFor, *ended.RetryOf, 0)
		require.WithinDuration(t, before.NextRunAt.Add(time.Minute), *e.Job(job).NextRunAt, 0)
	})
	t.Run("is refused", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		refuse := func(run uuid.UUID, code jobs.Code, why string) {
			t.Helper()
			_, err := e.Jobs.Retry(t.Context(), enginetest.By, run, nil)
			var conflict *jobs.Conflict
			require.ErrorAs(t, err, &conflict, why)
			require.Equal(t, code, conflict.Code, why)
			require.NotEmpty(t, conflict.Detail, why)
		}
		_, err := e.Jobs.Retry(t.Context(), enginetest.By, uuid.Must(uuid.NewV7()), nil)
		require.ErrorIs(t, err, jobs.ErrRunNotFound)
		id := enginetest.IDOf(e.Runs(e.Due(``).Job.ID)[0])
		refuse(id, jobs.RunNotEnded, "it is due")
		executing := e.Begin()
		refuse(id, jobs.RunNotEnded, "it executes")
		e.Cancel(id)
		e.End(executing, nil)
		refuse(id, jobs.RunHasSucceeded, "it has succeeded")

		job := e.Due(``).Job.ID
		id = enginetest.IDOf(e.Runs(job)[0])
		e.Cancel(id)
		e.Execute(1)
		e.Delete(job)
		refuse(id, jobs.JobDeleted, "its job is deleted")
	})
	// The new run cannot be read yet if it is due a moment after it was asked for.
	t.Run("names the run that it repeats before it is due", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Due(`,"maxAttempts":1`).Job.ID
		first := e.Begin()
		e.End(first, errNoLuck)
		e.Age(job, 55*time.Second)
		e.ClaimOne() // ahead of its instant
		again := retry(t, e, first.RunID(), new(cancelOther))
		require.Equal(t, "PENDING", again.Status)
		require.NotNil(t, again.RetryOf, "it repeats a run")
		require.WithinDuration(t, first.Due.ScheduledFor, *again.RetryOf, 0)
	})
}
