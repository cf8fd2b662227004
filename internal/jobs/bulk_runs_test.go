package jobs_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/internal/clock"
	"punctual/internal/history"
	"punctual/internal/jobs"
	"punctual/internal/testdb/enginetest"
)

// changeRuns changes runs by as many requests as it takes.
func changeRuns(t *testing.T, e *enginetest.Engine, b jobs.RunBulk) (all []jobs.RunBulkItem) {
	t.Helper()
	for next := (&history.Place{At: clock.EndOfTime}); next != nil; {
		b.After = *next
		done, err := e.Jobs.ChangeRuns(t.Context(), enginetest.By, b)
		require.NoError(t, err)
		require.LessOrEqual(t, len(done.Items), int(b.Max))
		all, next = append(all, done.Items...), done.Next
	}
	return all
}

func changedOf(items []jobs.RunBulkItem) (ids []uuid.UUID) {
	for _, item := range items {
		if item.IsChanged {
			ids = append(ids, item.ID)
		}
	}
	return ids
}

func TestChangeRuns(t *testing.T) {
	t.Parallel()
	const daily = `{"name":"a","intervalInSeconds":86400,"overlapPolicy":"ALLOW_ALL"}`

	t.Run("retries each once", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		now := e.Now()
		job, gone := e.Create(daily).Job.ID, e.Create(daily).Job.ID
		no := ended(t, e, job, failed, now.Add(-2*time.Hour), now.Add(-3*time.Hour), now.Add(-4*time.Hour))
		of := ended(t, e, gone, failed, now.Add(-5*time.Hour))
		ok := ended(t, e, job, succeeded, now.Add(-time.Hour))
		e.Delete(gone)
		b := jobs.RunBulk{Action: jobs.BulkRetry, Max: 3, Filter: jobs.RunFilter{Statuses: []string{"FAILED", "SUCCEEDED"}}}
		b.IsDryRun = true
		require.Equal(t, append(no, of...), changedOf(changeRuns(t, e, b)))
		require.Zero(t, e.Count(`select count(*) from due where trigger = 'RETRY'`), "nothing has happened")

		b.IsDryRun = false
		items := changeRuns(t, e, b)
		require.Len(t, items, 5)
		require.Equal(t, ok[0], items[0].ID)
		require.NoError(t, items[0].Err, "one that has succeeded is as it should be")
		require.Equal(t, no, changedOf(items))
		require.NotNil(t, items[1].Retry)
		var conflict *jobs.Conflict
		require.ErrorAs(t, items[4].Err, &conflict)
		require.Equal(t, jobs.JobDeleted, conflict.Code)
		require.Equal(t, 3, e.Count(`select count(*) from audit where operation = 'retryRun'`))
		require.Empty(t, changedOf(changeRuns(t, e, b)), "while the retries are open")
		e.Execute(3)
		require.Empty(t, changedOf(changeRuns(t, e, b)), "when they have ended")
		b.IDs = append([]uuid.UUID{uuid.Must(uuid.NewV7())}, no...)
		require.Len(t, changeRuns(t, e, b), 3)
		require.Equal(t, 3, e.Count(`select count(*) from runs where trigger = 'RETRY'`))
	})

	t.Run("retries each once, whoever asks at the same time", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		now := e.Now()
		job := e.Create(daily).Job.ID
		var ats []time.Time
		for n := range 40 {
			ats = append(ats, now.Add(-time.Duration(n+1)*time.Minute))
		}
		ended(t, e, job, failed, ats...)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				_, err := e.Jobs.ChangeRuns(t.Context(), enginetest.By, jobs.RunBulk{
					Action: jobs.BulkRetry, Max: 1000, After: history.Place{At: clock.EndOfTime},
				})
				if err != nil {
					t.Errorf("change runs: %v", err)
				}
			})
		}
		all.Wait()
		require.Equal(t, 40, e.Count(`select count(*) from due where trigger = 'RETRY'`))
		require.Equal(t, 40, e.Count(`select count(distinct retry_of) from due`))
	})

	t.Run("cancels each once", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Create(daily).Job.ID
		ended(t, e, job, succeeded, e.Now().Add(-time.Hour))
		for range 5 {
			e.Start(job, "")
		}
		b := jobs.RunBulk{Action: jobs.BulkCancel, Max: 2}
		require.Len(t, changedOf(changeRuns(t, e, b)), 5)
		require.Empty(t, changedOf(changeRuns(t, e, b)))
		require.Equal(t, 5, e.Count(`select count(*) from audit where operation = 'cancelRun'`))
		b.Filter.From = new(e.Now().Add(-2 * time.Hour))
		b.Filter.Statuses = []string{"SUCCEEDED"}
		items := changeRuns(t, e, b)
		require.Len(t, items, 1)
		require.Empty(t, changedOf(items), "one that has ended is left alone")
		require.NoError(t, items[0].Err)
	})
}
