package poller_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/executor"
	"punctual/internal/jobs"
	"punctual/internal/poller"
	"punctual/internal/testdb/enginetest"
)

// startRun starts a run by hand and returns its instant.
func (b bench) startRun(job uuid.UUID, policy db.OverlapPolicy) (at time.Time, err error) {
	run, err := b.Jobs.StartRun(b.T.Context(), enginetest.By, job, jobs.RunStart{OverlapPolicy: &policy})
	return run.ScheduledFor, err
}

// toggle pauses the job, or resumes it.
func (b bench) toggle(job uuid.UUID) error {
	view, err := b.Jobs.Get(b.T.Context(), enginetest.By, job)
	if err != nil {
		return err
	}
	to := db.JobStatusPAUSED
	if view.Job.Status == db.JobStatusPAUSED {
		to = db.JobStatusACTIVE
	}
	_, err = b.Jobs.Update(b.T.Context(), enginetest.By, job, jobs.Change{Status: jobs.Given(to)})
	return err
}

// However many start runs of a job at the same moment, while its schedule goes on and is claimed,
// no two runs execute at once, and no run and no occurrence is lost.
func TestConcurrentStarts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy  db.OverlapPolicy
		toggles bool
	}{
		"skip":                          {db.OverlapPolicySKIP, false},
		"buffer one":                    {db.OverlapPolicyBUFFERONE, false},
		"skip, paused in between":       {db.OverlapPolicySKIP, true},
		"buffer one, paused in between": {db.OverlapPolicyBUFFERONE, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			job := b.job(func(p *newJob) {
				p.OverlapPolicy, p.IntervalSeconds, p.ScheduledFor = c.policy, new(int64(1)), new(p.CreatedAt.Add(61*time.Second))
			})
			m := &meter{executions: map[uuid.UUID]int{}}
			stop := b.runPollers(2, m.executor(15*time.Millisecond))

			var hands sync.WaitGroup
			var mu sync.Mutex
			asked := map[time.Time]bool{}
			for range 6 {
				hands.Go(func() {
					for range 40 {
						at, err := b.startRun(job, c.policy)
						mu.Lock()
						assert.NoError(t, err, "a run is started") //nolint:testifylint // require is for the test's own goroutine
						assert.False(t, asked[at.UTC()], "each has an instant of its own")
						asked[at.UTC()] = true
						mu.Unlock()
					}
				})
			}
			if c.toggles {
				hands.Go(func() {
					for range 20 {
						assert.NoError(t, b.toggle(job), "the job is paused, or resumed")
					}
				})
			}
			hands.Wait()
			ends := func() bool {
				return b.Count(
					`select count(*) from due where trigger <> 'SCHEDULE' or buffered_for is not null or attempt > 0`,
				) == 0
			}
			require.Eventually(t, ends, 20*time.Second, 10*time.Millisecond, "all that was asked for ends")
			// However busy it was until now: a change and a completion that meet can take a second,
			// while all else is skipped.
			executed := `select count(*) from runs where trigger = 'MANUAL' and status = 'SUCCEEDED'`
			for tries := 0; b.Count(executed) < 2; tries++ {
				require.Less(t, tries, 100, "some execute")
				at, err := b.startRun(job, c.policy)
				require.NoError(t, err)
				asked[at.UTC()] = true
				require.Eventually(t, ends, 20*time.Second, 10*time.Millisecond, "what is asked for after it ends, too")
			}
			stop()

			require.Equal(t, 1, m.most, "no two execute at once")
			require.Equal(
				t,
				b.Count(`select count(*) from runs where status = 'SUCCEEDED'`),
				m.executions[job],
				"none executes twice",
			)
			require.Equal(t, len(asked), b.Count(`select count(*) from runs where trigger = 'MANUAL'`), "none is lost")
			if !c.toggles {
				require.Zero(t, b.Count(`select count(*) from (
					select scheduled_for - lag(scheduled_for + (occurrences - 1) * interval '1 second')
						over (order by scheduled_for) as gap
					from runs where trigger = 'SCHEDULE') as r where gap <> interval '1 second'`), "no occurrence is lost or doubled")
			}
			require.Equal(t, m.executions[job], b.Count(`select sum(run_count) from (
				select run_count from jobs union all select run_count from due) as counts`), "all are counted, once")
		})
	}
}

// runPollers runs instances that share the work, and returns what stops them.
func (b bench) runPollers(n int, e executor.Executor) (stop func()) {
	b.T.Helper()
	ctx, cancel := context.WithCancel(b.T.Context())
	var running sync.WaitGroup
	for range n {
		p := b.poller(e, poller.Config{PollInterval: 10 * time.Millisecond})
		running.Go(func() {
			p.Run(ctx)
			assert.NoError(b.T, p.Drain(b.T.Context()))
		})
	}
	return func() {
		cancel()
		running.Wait()
	}
}
