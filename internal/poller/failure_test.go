package poller_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/executor"
	"punctual/internal/poller"
)

func TestFailedAttempt(t *testing.T) {
	t.Parallel()
	t.Run("is repeated and kept", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		job := b.job(func(p *newJob) { p.MaxAttempts = 3 })
		tries := 0
		require.Equal(t, 3, b.drain(executorFunc(func(context.Context, executor.Run) error {
			if tries++; tries < 3 {
				return errors.New("no luck")
			}
			return nil
		})))
		runs := b.Runs(job)
		require.Len(t, runs, 1)
		require.Equal(t, "SUCCEEDED", runs[0].Status)
		require.EqualValues(t, 3, runs[0].Attempt)
		require.Contains(t, string(runs[0].FailedAttempts), `"attempt": 1`)
		require.Contains(t, string(runs[0].FailedAttempts), `"attempt": 2`)
		require.Contains(t, string(runs[0].FailedAttempts), "no luck")
	})
	t.Run("delays the next one by the backoff", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		job := b.job(func(p *newJob) { p.MinBackoffSeconds, p.MaxBackoffSeconds = 100, 1000 })
		require.Equal(t, 1, b.drain(fail), "it waits")
		var wait time.Duration
		require.NoError(
			t,
			b.Pool.QueryRow(t.Context(), "select ready_at - now() from due where job_id = $1", job).Scan(&wait),
		)
		require.Greater(t, wait, 90*time.Second)
		require.Less(t, wait, 201*time.Second)
		runs := b.Runs(job)
		require.Len(t, runs, 1)
		require.Equal(t, "RUNNING", runs[0].Status, "a run that waits for another attempt is seen")
	})
	t.Run("ends at its deadline", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		job := b.job(func(p *newJob) { p.MaxAttempts, p.AttemptDeadlineSeconds = 1, 1 })
		require.Equal(t, 1, b.drain(executorFunc(func(ctx context.Context, _ executor.Run) error {
			<-ctx.Done()
			return ctx.Err()
		})))
		run := b.Runs(job)[0]
		require.Equal(t, "FAILED", run.Status)
		require.Equal(t, db.RunReasonDEADLINEEXCEEDED, *run.Reason)
		require.Contains(t, *run.Error, "attempt deadline exceeded after 1s")
	})
	t.Run("is in a history of failures only", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		job := b.job(func(p *newJob) { p.RunHistory, p.MaxAttempts = db.RunHistoryFAILURES, 1 })
		require.Equal(t, 1, b.drain(succeed))
		require.Empty(t, b.Runs(job))
		b.Exec(`update due set scheduled_for = now(), ready_at = now() where job_id = $1`, job)
		require.Equal(t, 1, b.drain(fail))
		require.Len(t, b.Runs(job), 1)
		require.Equal(t, 2, b.Count("select run_count from due"), "all are counted")
	})
}

func TestPauseAfterFailures(t *testing.T) {
	t.Parallel()
	t.Run("pauses a job", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		job := b.job(func(p *newJob) {
			p.MaxAttempts, p.PauseAfterFailures = 1, new(int16(2))
			p.IntervalSeconds, p.ScheduledFor = new(int64(20)), new(p.CreatedAt.Add(20*time.Second))
		})
		require.Equal(t, 2, b.drain(fail), "the second failure pauses it, though a third occurrence is due")
		status, reason := b.jobStatus(job)
		require.Equal(t, "PAUSED", status)
		require.Equal(t, "2 runs failed in a row", reason)
		require.Zero(t, b.Count("select count(*) from due"))
	})
	t.Run("counts anew after a success", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		job := b.job(func(p *newJob) {
			p.MaxAttempts, p.PauseAfterFailures = 1, new(int16(2))
			p.IntervalSeconds, p.ScheduledFor = new(int64(20)), new(p.CreatedAt.Add(20*time.Second))
		})
		n := 0
		require.Equal(t, 3, b.drain(executorFunc(func(context.Context, executor.Run) error {
			if n++; n == 2 {
				return nil
			}
			return errors.New("no luck")
		})))
		status, _ := b.jobStatus(job)
		require.Equal(t, "ACTIVE", status)
	})
	t.Run("counts runs that may overlap in the order in which they end", func(t *testing.T) {
		t.Parallel()
		for name, c := range map[string]struct {
			failed []bool
			status string
		}{
			"two in a row":          {[]bool{true, true}, "PAUSED"},
			"a success in between":  {[]bool{true, false, true}, "COMPLETED"},
			"after a success":       {[]bool{false, true, true}, "PAUSED"},
			"the last one does not": {[]bool{true, false, false}, "COMPLETED"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				job := b.job(func(p *newJob) {
					p.OverlapPolicy, p.MaxAttempts, p.PauseAfterFailures = db.OverlapPolicyALLOWALL, 1, new(int16(2))
					p.IntervalSeconds, p.ScheduledFor, p.MaxRuns = new(int64(20)), new(p.CreatedAt.Add(20*time.Second)), new(int64(3))
				})
				require.Equal(t, len(c.failed), b.drain(failing(c.failed...)))
				status, reason := b.jobStatus(job)
				require.Equal(t, c.status, status)
				if c.status == "PAUSED" {
					require.Equal(t, "2 runs failed in a row", reason)
				}
				require.Zero(t, b.Count(`select count(*) from due`), "nothing is due any more")
				require.Equal(t, len(c.failed), b.Count(`select run_count from jobs`))
			})
		}
	})
	// A success in the meantime forgives the failures that were counted when the run was claimed.
	t.Run("counts a run when it ends", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		job := b.job(func(p *newJob) {
			p.OverlapPolicy, p.MaxAttempts, p.PauseAfterFailures = db.OverlapPolicyALLOWALL, 1, new(int16(2))
		})
		b.Exec(`update due set failures = 1`)
		p := b.poller(executorFunc(func(context.Context, executor.Run) error {
			b.Exec(`update due set failures = 0 where carries_schedule`) // another has succeeded meanwhile
			return errors.New("no luck")
		}), poller.Config{})
		n, err := p.Pass(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, n)
		status, _ := b.jobStatus(job)
		require.Equal(t, "ACTIVE", status)
		require.Equal(t, 1, b.Count(`select failures from jobs`))
	})
}

// Any run of a job can tell that the job is to be paused.
func TestTargetPausesItsJob(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*newJob){
		"on its schedule":  func(*newJob) {},
		"beside it":        func(p *newJob) { p.OverlapPolicy = db.OverlapPolicyALLOWALL },
		"with more to try": func(p *newJob) { p.MaxAttempts = 5 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			job := b.job(change)
			require.Equal(t, 1, b.drain(executorFunc(func(context.Context, executor.Run) error {
				return &executor.Failure{Err: errors.New("gone"), PauseReason: "the target is gone"}
			})))
			status, reason := b.jobStatus(job)
			require.Equal(t, "PAUSED", status)
			require.Equal(t, "the target is gone", reason)
			require.Zero(t, b.Count(`select count(*) from due`), "nothing is due any more")
			require.Equal(t, "FAILED", b.Runs(job)[0].Status)
		})
	}
}
