package jobs_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/executor"
	"punctual/internal/testdb/enginetest"
)

var errNoLuck = errors.New("no luck")

// The run ends as it began and is counted once, and the edit decides what comes next.
func TestEditDuringARun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change string
		// left is a condition for the due row that is left after the run, or empty if none is left.
		left string
	}{
		"interval":           {`{"intervalInSeconds":3600}`, `queue is null and not awaits_worker`},
		"cron":               {`{"cron":"0 0 1 1 *"}`, `queue is null`},
		"to a worker":        {`{"target":{"type":"worker","queue":"q"}}`, `queue = 'default/q' and awaits_worker`},
		"into a group":       {`{"concurrencyGroup":"g","maxConcurrency":1}`, `concurrency_group = 'default/=~g' and queue = concurrency_group and awaits_worker`},
		"paused":             {`{"status":"PAUSED"}`, ``},
		"paused, and why":    {`{"status":"PAUSED","statusReason":"holidays"}`, ``},
		"completed by a run": {`{"maxRuns":1}`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := enginetest.New(t)
			job := e.Due(``).Job.ID
			run := e.Begin()
			changed := e.Edit(job, c.change)
			e.End(run, nil)

			after := e.Job(job)
			require.EqualValues(t, 1, after.RunCount)
			require.WithinDuration(t, *e.Run(run.RunID()).StartedAt, *after.LastRunAt, 0)
			require.Len(t, e.Runs(job), 1, "it was executed once, and nothing is skipped")
			if c.left == "" {
				require.Zero(t, e.Count(`select count(*) from due`))
				require.Nil(t, after.NextRunAt)
				return
			}
			require.WithinDuration(t, *changed.NextRunAt, *after.NextRunAt, 0)
			require.Equal(t, 1, e.Count(`select count(*) from due
				where carries_schedule and revised_at is null and `+c.left))
		})
	}
	t.Run("back and forth", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Due(``).Job.ID
		run := e.Begin()
		for _, change := range []string{
			`{"status":"PAUSED"}`, `{"status":"ACTIVE"}`, `{"intervalInSeconds":7200}`,
			`{"status":"PAUSED"}`, `{"intervalInSeconds":3600}`, `{"status":"ACTIVE"}`,
		} {
			e.Edit(job, change)
			require.Equal(t, "SKIPPED", e.Start(job, "").Status, "the run is in flight all the while")
		}
		e.End(run, nil)
		require.EqualValues(t, 1, e.Job(job).RunCount)
		require.Equal(t, 1, e.Count(`select count(*) from due where carries_schedule and scheduled_for > now()`))
		require.Equal(t, 1, e.Count(`select count(*) from due`))
	})
	// However long the run in flight has been, the next run is never before the edit.
	t.Run("that is long", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Create(`{"name":"long","intervalInSeconds":3600}`).Job.ID
		e.Age(job, time.Hour)
		e.ClaimOne()
		e.Age(job, 5*time.Minute)

		changed := e.Edit(job, `{"intervalInSeconds":10}`)
		require.True(t, changed.NextRunAt.After(changed.Job.UpdatedAt),
			"next at %s, changed at %s", changed.NextRunAt, changed.Job.UpdatedAt)
	})
}

// The edit also decides what the end of the run does to its job.
func TestEditOfPauseAfterFailuresDuringARun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body, change string
		isGone       bool // whether the target pauses the job
		want         db.JobStatus
	}{
		"set": {
			body: ``, change: `{"pauseAfterFailures":1}`, want: db.JobStatusPAUSED,
		},
		"cleared": {
			body: `,"pauseAfterFailures":1`, change: `{"pauseAfterFailures":null}`, want: db.JobStatusACTIVE,
		},
		"raised, with an interval": {
			body: `,"pauseAfterFailures":1`, change: `{"pauseAfterFailures":2,"intervalInSeconds":3600}`,
			want: db.JobStatusACTIVE,
		},
		"set, and runs may overlap": {
			body: `,"overlapPolicy":"ALLOW_ALL"`, change: `{"pauseAfterFailures":1}`, want: db.JobStatusPAUSED,
		},
		"cleared, but the target pauses it": {
			body: `,"pauseAfterFailures":1`, change: `{"pauseAfterFailures":null,"name":"gone"}`, isGone: true,
			want: db.JobStatusPAUSED,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := enginetest.New(t)
			job := e.Due(c.body + `,"maxAttempts":1`).Job.ID
			run := e.Begin()
			e.Edit(job, c.change)
			failure := &executor.Failure{Err: errNoLuck}
			if c.isGone {
				failure.PauseReason = "the target is gone"
			}
			e.End(run, failure)
			after := e.Job(job)
			require.Equal(t, c.want, after.Job.Status)
			require.Equal(t, c.want == db.JobStatusACTIVE, after.NextRunAt != nil)
			require.EqualValues(t, 1, after.RunCount)
		})
	}
}

// If the schedule goes on without a run in flight, what came due while the run was in flight is
// recorded.
func TestEditRecordsWhatARunHeldUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change string
		reason db.RunReason
	}{
		"paused": {`{"status":"PAUSED"}`, db.RunReasonJOBPAUSED},
		"edited": {`{"intervalInSeconds":3600}`, db.RunReasonOVERLAP},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := enginetest.New(t)
			job := e.Create(`{"name":"held-up","intervalInSeconds":60}`).Job.ID
			e.Age(job, 4*time.Minute)
			row := e.ClaimOne() // as if it was executing since then
			e.Edit(job, c.change)
			e.Succeed(row)
			runs := e.Runs(job)
			require.Len(t, runs, 2)
			require.Equal(t, "SKIPPED", runs[0].Status)
			require.Equal(t, c.reason, *runs[0].Reason)
			require.EqualValues(t, 3, runs[0].Occurrences)
			require.WithinDuration(t, row.Claimed.ScheduledFor.Add(time.Minute), runs[0].ScheduledFor, 0)
		})
	}
}
