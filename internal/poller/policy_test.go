package poller_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/poller"
	"punctual/internal/runid"
	"punctual/internal/target"
)

var fail = executor(func(context.Context, target.Run) error { return errors.New("no luck") })

// drain makes passes until nothing is due.
func (b bench) drain(e target.Executor) int {
	b.t.Helper()
	p, all := b.poller(e, poller.Config{}), 0
	for {
		n, err := p.Pass(b.t.Context())
		require.NoError(b.t, err)
		if n == 0 {
			return all
		}
		all += n
	}
}

func (b bench) jobStatus(job uuid.UUID) (status, reason string) {
	b.t.Helper()
	require.NoError(b.t, b.pool.QueryRow(b.t.Context(),
		"select status::text, coalesce(status_reason, '') from jobs where id = $1", job).Scan(&status, &reason))
	return status, reason
}

func TestFailedAttemptsAreRepeatedAndKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := b.job(func(p *db.CreateJobParams) { p.MaxAttempts = 3 })
	tries := 0
	require.Equal(t, 3, b.drain(executor(func(context.Context, target.Run) error {
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
	require.Equal(t, 1, b.drain(executor(func(ctx context.Context, _ target.Run) error {
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
	require.Equal(t, 3, b.drain(executor(func(context.Context, target.Run) error {
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

// overdue creates a job with an interval of ten minutes that missed six occurrences; the last one two minutes ago.
func (b bench) overdue(policy db.MisfirePolicy, window *int64) uuid.UUID {
	return b.job(func(p *db.CreateJobParams) {
		p.MisfirePolicy, p.CatchupWindowSeconds = policy, window
		p.CreatedAt = p.CreatedAt.Add(time.Minute - 62*time.Minute)
		p.AnchorAt, p.IntervalSeconds, p.ScheduledFor = &p.CreatedAt, new(int64(600)), p.CreatedAt.Add(10*time.Minute)
	})
}

func TestMisfirePolicies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy            db.MisfirePolicy
		window            *int64
		executed, skipped int
	}{
		"one for all":            {db.MisfirePolicyFIREONCE, nil, 1, 5},
		"one for all, in window": {db.MisfirePolicyFIREONCE, new(int64(300)), 1, 5},
		"one for all, out of it": {db.MisfirePolicyFIREONCE, new(int64(100)), 0, 6},
		"none":                   {db.MisfirePolicySKIP, nil, 0, 6},
		"each":                   {db.MisfirePolicyFIREALL, nil, 6, 0},
		"each, in window":        {db.MisfirePolicyFIREALL, new(int64(1500)), 3, 3},
		"each, all out of it":    {db.MisfirePolicyFIREALL, new(int64(10)), 0, 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			job := b.overdue(c.policy, c.window)
			b.drain(succeed)
			require.Equal(t, c.executed, b.count("select count(*) from runs where status = 'SUCCEEDED'"))
			require.Equal(t, c.skipped, b.count("select coalesce(sum(occurrences), 0) from runs where reason = 'MISFIRE'"),
				"what is not executed is counted")
			require.Equal(t, 1, b.count("select count(*) from due where ready_at > now()"), "it goes on")
			require.Equal(t, c.executed, b.count("select run_count from due"))
			require.NotEmpty(t, b.runs(job))
		})
	}
}

func TestOverlapPolicies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy        db.OverlapPolicy
		skipped, left int
	}{
		"skip":       {db.OverlapPolicySKIP, 2, 0},
		"buffer one": {db.OverlapPolicyBUFFERONE, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			// Due now and each second, and this run takes as long as two and a half.
			job := b.job(func(p *db.CreateJobParams) {
				p.OverlapPolicy, p.IntervalSeconds, p.ScheduledFor = c.policy, new(int64(1)), p.CreatedAt.Add(61*time.Second)
			})
			var due int
			n, err := b.poller(executor(func(context.Context, target.Run) error {
				timer := time.NewTimer(2500 * time.Millisecond)
				<-timer.C
				return nil
			}), poller.Config{}).Pass(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1, n)
			require.NoError(t, b.pool.QueryRow(t.Context(), `select count(*) from due d
				where scheduled_for <= (select max(finished_at) from runs where job_id = d.job_id)`).Scan(&due))
			require.Equal(t, c.left, due, "whether one waits for the end of the run")
			require.Len(t, b.runs(job), 2+c.left, "what waits is seen, too")
			require.Equal(t, c.skipped, b.count("select sum(occurrences) from runs where reason = 'OVERLAP'"), "the rest is counted")
		})
	}
}

func TestOverlappingRunsGoOnAtTheirInstants(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.job(func(p *db.CreateJobParams) {
		p.OverlapPolicy, p.MaxRuns = db.OverlapPolicyALLOWALL, new(int64(3))
		p.IntervalSeconds, p.ScheduledFor = new(int64(20)), p.CreatedAt.Add(20*time.Second)
	})
	together := make(chan struct{}, 3)
	gate := make(chan struct{})
	p := b.poller(executor(func(context.Context, target.Run) error {
		together <- struct{}{}
		<-gate
		return nil
	}), poller.Config{})
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		p.Run(ctx)
		close(stopped)
	}()
	for range 3 {
		<-together
	}
	close(gate)
	stop()
	<-stopped
	require.NoError(t, p.Drain(t.Context()))
	require.Equal(t, 3, b.count("select count(*) from runs where status = 'SUCCEEDED'"))
	require.Equal(t, 1, b.count("select count(*) from jobs where status = 'COMPLETED' and run_count = 3"))
	require.Zero(t, b.count("select count(*) from due"))
}

// A claim that is committed but whose answer is lost does not keep its runs from everybody.
func TestLostClaimIsFreed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.dueJob()
	holder := b.lease()
	lost := b.claim(holder)
	require.Len(t, lost, 1)
	freed, err := b.FreeLost(t.Context(), db.FreeLostParams{LeaseID: &holder, KnownTokens: []int64{lost[0].Token}})
	require.NoError(t, err)
	require.Zero(t, freed, "it knows of it")
	freed, err = b.FreeLost(t.Context(), db.FreeLostParams{LeaseID: &holder, KnownTokens: []int64{}})
	require.NoError(t, err)
	require.EqualValues(t, 1, freed)
	require.Len(t, b.claim(b.lease()), 1)
}

// The run before is told to end, on whatever instance it executes.
func TestCancelOther(t *testing.T) {
	t.Parallel()
	for name, told := range map[string]bool{"told": true, "finds out": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			job := b.job(func(p *db.CreateJobParams) {
				p.OverlapPolicy, p.MaxRuns = db.OverlapPolicyCANCELOTHER, new(int64(2))
				p.IntervalSeconds, p.ScheduledFor = new(int64(2)), p.CreatedAt.Add(60*time.Second)
			})
			begun := make(chan struct{})
			one := b.poller(executor(func(ctx context.Context, _ target.Run) error {
				close(begun)
				<-ctx.Done()
				return ctx.Err()
			}), poller.Config{MaxConcurrentRuns: 1})
			ctx, stop := context.WithCancel(t.Context())
			stopped := make(chan struct{})
			go func() {
				one.Run(ctx)
				close(stopped)
			}()
			<-begun
			other := b.poller(succeed, poller.Config{})
			require.Eventually(t, func() bool {
				n, err := other.Pass(t.Context())
				require.NoError(t, err)
				return n == 1
			}, 10*time.Second, 10*time.Millisecond, "the next begins at its instant")
			if told {
				one.Cancel(runid.New(job, b.runs(job)[1].ScheduledFor), db.RunReasonOVERLAP)
			}
			require.Eventually(t, func() bool { return b.count("select count(*) from runs") == 2 }, 20*time.Second, 10*time.Millisecond)
			stop()
			<-stopped
			require.NoError(t, one.Drain(t.Context()))

			runs := b.runs(job)
			require.Equal(t, "SUCCEEDED", runs[0].Status)
			require.Equal(t, "CANCELED", runs[1].Status)
			require.Equal(t, db.RunReasonOVERLAP, *runs[1].Reason)
			require.Nil(t, runs[1].Error)
		})
	}
}

// A run that waits for another attempt when the next is due gets none.
func TestCancelOtherEndsWhatWaits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := b.job(func(p *db.CreateJobParams) {
		p.OverlapPolicy, p.MaxRuns = db.OverlapPolicyCANCELOTHER, new(int64(2))
		p.MinBackoffSeconds, p.MaxBackoffSeconds = 1000, 1000
		p.IntervalSeconds, p.ScheduledFor = new(int64(20)), p.CreatedAt.Add(20*time.Second)
	})
	first := true
	b.drain(executor(func(context.Context, target.Run) error {
		if first {
			first = false
			return errors.New("no luck")
		}
		return nil
	}))
	runs := b.runs(job)
	require.Len(t, runs, 2)
	require.Equal(t, "SUCCEEDED", runs[0].Status)
	require.Equal(t, "CANCELED", runs[1].Status)
	require.EqualValues(t, 1, runs[1].Attempt)
	require.Contains(t, string(runs[1].FailedAttempts), "no luck")
}
