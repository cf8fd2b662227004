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
	"punctual/internal/runid"
)

func TestOverlap(t *testing.T) {
	t.Parallel()
	t.Run("during a run", func(t *testing.T) {
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
				job := b.job(func(p *newJob) {
					p.OverlapPolicy, p.IntervalSeconds, p.ScheduledFor = c.policy, new(int64(1)), new(p.CreatedAt.Add(61*time.Second))
				})
				var due int
				n, err := b.poller(executorFunc(func(context.Context, executor.Run) error {
					b.await(2500 * time.Millisecond)
					return nil
				}), poller.Config{}).Pass(t.Context())
				require.NoError(t, err)
				require.Equal(t, 1, n)
				require.NoError(t, b.Pool.QueryRow(t.Context(), `select count(*) from due d
					where scheduled_for <= (select max(finished_at) from runs where job_id = d.job_id)`).Scan(&due))
				require.Equal(t, c.left, due, "whether one waits for the end of the run")
				require.Len(t, b.Runs(job), 2+c.left, "what waits is seen, too")
				require.Equal(
					t,
					c.skipped,
					b.Count("select sum(occurrences) from runs where reason = 'OVERLAP'"),
					"the rest is counted",
				)
			})
		}
	})
	// They begin at their own instants.
	t.Run("of runs that may", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.job(func(p *newJob) {
			p.OverlapPolicy, p.MaxRuns = db.OverlapPolicyALLOWALL, new(int64(3))
			p.IntervalSeconds, p.ScheduledFor = new(int64(20)), new(p.CreatedAt.Add(20*time.Second))
		})
		together := make(chan struct{}, 3)
		gate := make(chan struct{})
		p := b.poller(executorFunc(func(context.Context, executor.Run) error {
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
		require.Equal(t, 3, b.Count("select count(*) from runs where status = 'SUCCEEDED'"))
		require.Equal(t, 1, b.Count("select count(*) from jobs where status = 'COMPLETED' and run_count = 3"))
		require.Zero(t, b.Count("select count(*) from due"))
	})
	// The run is told to end on whatever instance it executes.
	t.Run("cancels the run before", func(t *testing.T) {
		t.Parallel()
		for name, told := range map[string]bool{"told": true, "finds out": false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				job := b.job(func(p *newJob) {
					p.OverlapPolicy, p.MaxRuns = db.OverlapPolicyCANCELOTHER, new(int64(2))
					p.IntervalSeconds, p.ScheduledFor = new(int64(2)), new(p.CreatedAt.Add(60*time.Second))
				})
				begun := make(chan struct{})
				one := b.poller(executorFunc(func(ctx context.Context, _ executor.Run) error {
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
					one.Cancel(runid.New(job, b.Runs(job)[1].ScheduledFor), db.RunReasonOVERLAP)
				}
				require.Eventually(
					t,
					func() bool { return b.Count("select count(*) from runs") == 2 },
					20*time.Second,
					10*time.Millisecond,
				)
				stop()
				<-stopped
				require.NoError(t, one.Drain(t.Context()))

				runs := b.Runs(job)
				require.Equal(t, "SUCCEEDED", runs[0].Status)
				require.Equal(t, "CANCELED", runs[1].Status)
				require.Equal(t, db.RunReasonOVERLAP, *runs[1].Reason)
				require.Nil(t, runs[1].Error)
			})
		}
	})
	t.Run("ends a run that waits for another attempt", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		job := b.job(func(p *newJob) {
			p.OverlapPolicy, p.MaxRuns = db.OverlapPolicyCANCELOTHER, new(int64(2))
			p.MinBackoffSeconds, p.MaxBackoffSeconds = 1000, 1000
			p.IntervalSeconds, p.ScheduledFor = new(int64(20)), new(p.CreatedAt.Add(20*time.Second))
		})
		first := true
		b.drain(executorFunc(func(context.Context, executor.Run) error {
			if first {
				first = false
				return errors.New("no luck")
			}
			return nil
		}))
		runs := b.Runs(job)
		require.Len(t, runs, 2)
		require.Equal(t, "SUCCEEDED", runs[0].Status)
		require.Equal(t, "CANCELED", runs[1].Status)
		require.EqualValues(t, 1, runs[1].Attempt)
		require.Contains(t, string(runs[1].FailedAttempts), "no luck")
	})
}
