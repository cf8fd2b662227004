package poller_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/executor"
)

func TestFailedAttemptsAreRepeatedAndKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := b.job(func(p *db.CreateJobParams) { p.MaxAttempts = 3 })
	tries := 0
	require.Equal(t, 3, b.drain(executorFunc(func(context.Context, executor.Run) error {
		if tries++; tries < 3 {
			return errors.New("no luck")
		}
		return nil
	})))
	runs := b.runs(job)
	require.Len(t, runs, 1)
	require.Equal(t, "SUCCEEDED", runs[0].Status)
	require.EqualValues(t, 3, runs[0].Attempt)
	require.Contains(t, string(runs[0].FailedAttempts), `"attempt": 1`)
	require.Contains(t, string(runs[0].FailedAttempts), `"attempt": 2`)
	require.Contains(t, string(runs[0].FailedAttempts), "no luck")
}

func TestBackoffDelaysTheNextAttempt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := b.job(func(p *db.CreateJobParams) { p.MinBackoffSeconds, p.MaxBackoffSeconds = 100, 1000 })
	require.Equal(t, 1, b.drain(fail), "it waits")
	var wait time.Duration
	require.NoError(t, b.pool.QueryRow(t.Context(), "select ready_at - now() from due where job_id = $1", job).Scan(&wait))
	require.Greater(t, wait, 90*time.Second)
	require.Less(t, wait, 201*time.Second)
	runs := b.runs(job)
	require.Len(t, runs, 1)
	require.Equal(t, "RUNNING", runs[0].Status, "a run that waits for another attempt is seen")
}

func TestAttemptDeadline(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := b.job(func(p *db.CreateJobParams) { p.MaxAttempts, p.AttemptDeadlineSeconds = 1, 1 })
	require.Equal(t, 1, b.drain(executorFunc(func(ctx context.Context, _ executor.Run) error {
		<-ctx.Done()
		return ctx.Err()
	})))
	run := b.runs(job)[0]
	require.Equal(t, "FAILED", run.Status)
	require.Equal(t, db.RunReasonDEADLINEEXCEEDED, *run.Reason)
	require.Contains(t, *run.Error, "attempt deadline exceeded after 1s")
}

func TestPauseAfterFailures(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := b.job(func(p *db.CreateJobParams) {
		p.MaxAttempts, p.PauseAfterFailures = 1, new(int16(2))
		p.IntervalSeconds, p.ScheduledFor = new(int64(20)), p.CreatedAt.Add(20*time.Second)
	})
	require.Equal(t, 2, b.drain(fail), "the second failure pauses it, though a third occurrence is due")
	status, reason := b.jobStatus(job)
	require.Equal(t, "PAUSED", status)
	require.Equal(t, "2 runs failed in a row", reason)
	require.Zero(t, b.count("select count(*) from due"))
}

func TestSuccessForgivesFailures(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := b.job(func(p *db.CreateJobParams) {
		p.MaxAttempts, p.PauseAfterFailures = 1, new(int16(2))
		p.IntervalSeconds, p.ScheduledFor = new(int64(20)), p.CreatedAt.Add(20*time.Second)
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
}

func TestHistoryOfFailuresOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := b.job(func(p *db.CreateJobParams) { p.RunHistory, p.MaxAttempts = db.RunHistoryFAILURES, 1 })
	require.Equal(t, 1, b.drain(succeed))
	require.Empty(t, b.runs(job))
	b.exec(`update due set scheduled_for = now(), ready_at = now() where job_id = $1`, job)
	require.Equal(t, 1, b.drain(fail))
	require.Len(t, b.runs(job), 1)
	require.Equal(t, 2, b.count("select run_count from due"), "all are counted")
}
