package poller_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/executor"
	"punctual/internal/jobs"
	"punctual/internal/poller"
	"punctual/internal/runs"
	"punctual/internal/testdb/enginetest"
)

func TestDetachedSchedule(t *testing.T) {
	t.Parallel()
	t.Run("is not moved by a long run that is not its own", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		job := b.job(func(p *newJob) {
			p.IntervalSeconds, p.ScheduledFor = new(int64(1)), new(p.CreatedAt.Add(3661*time.Second))
			p.AnchorAt = new(p.AnchorAt.Add(-time.Hour))
		})
		view, err := b.Jobs.Get(t.Context(), enginetest.By, job)
		require.NoError(t, err)
		from := view.Job.AnchorAt.Add(time.Minute)
		done, err := b.Jobs.Backfill(t.Context(), enginetest.By, job, from, from)
		require.NoError(t, err)
		require.Equal(t, jobs.Backfilled{Runs: 1, Occurrences: 1}, done)
		require.Equal(t, 1, b.drain(executorFunc(func(context.Context, executor.Run) error {
			b.await(time.Second + 100*time.Millisecond) // longer than the interval
			return nil
		})))
		require.Len(t, b.Runs(job), 1, "the run, and nothing passed over")
		require.Equal(
			t,
			1,
			b.Count(`select count(*) from due where carries_schedule and ready_at > now() + interval '50 minutes'`),
			"the schedule stays",
		)
	})
	t.Run("goes on when the run ends, if it could not be detached", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		job := b.job(func(p *newJob) { p.OverlapPolicy = db.OverlapPolicyALLOWALL })
		b.Exec(`create function refuse() returns trigger language plpgsql as $$ begin raise 'away'; end $$`)
		b.Exec(`create trigger refused before insert on due for each row execute function refuse()`)
		n, err := b.poller(succeed, poller.Config{}).Pass(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Len(t, b.Runs(job), 1)
		require.Equal(t, 1, b.Count(`select count(*) from due d join jobs j on j.id = d.job_id
			where d.carries_schedule and d.run_count = 1 and d.scheduled_for = j.anchor_at + interval '2 minutes'`),
			"it is on the next occurrence")
	})
	t.Run("goes on as it was edited after the claim", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		job := b.job(func(p *newJob) { p.OverlapPolicy = db.OverlapPolicyALLOWALL })
		claim := b.ClaimUnder(b.NewLease(), 0)
		b.edit(job, jobs.Change{
			OverlapPolicy: jobs.Given(db.OverlapPolicySKIP), IntervalSeconds: jobs.Given(new(int64(3600))),
		})
		store := runs.Store{Pool: b.Pool, Queries: b.Queries, Logger: slog.Default(), Jobs: b.Jobs, Due: func(*string, time.Time) {}}
		now := claim[0].ReadAt
		opened := store.Open(t.Context(), now, claim)
		require.Equal(t, 1, b.Count(`select count(*) from due`), "nothing may begin before it ends")

		attempt, _ := opened[0].Prepare(now)
		require.NotNil(t, attempt)
		attempt.Begin(now)
		require.Empty(t, store.Save(t.Context(), []*runs.Ended{attempt.End(now, nil, nil)}))
		require.Equal(
			t,
			1,
			b.Count(`select count(*) from due where carries_schedule and ready_at > now() + interval '50 minutes'`),
			"then the new schedule counts",
		)
	})
	t.Run("is taken down by a pause that meets it", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		var all []uuid.UUID
		for range 30 {
			all = append(all, b.job(func(p *newJob) {
				p.OverlapPolicy, p.IntervalSeconds, p.ScheduledFor = db.OverlapPolicyALLOWALL, new(int64(1)), new(p.CreatedAt.Add(61*time.Second))
			}))
		}
		stop := b.runPollers(2, succeed)
		var hands sync.WaitGroup
		for _, job := range all {
			hands.Go(func() {
				for range 9 {
					if b.toggle(job) != nil {
						return
					}
				}
			})
		}
		hands.Wait()
		require.Eventually(
			t,
			func() bool { return b.Count(`select count(*) from due where attempt > 0`) == 0 },
			20*time.Second,
			10*time.Millisecond,
		)
		stop()
		require.Equal(t, 30, b.Count(`select count(*) from jobs where status = 'PAUSED'`))
		require.Zero(t, b.Count(`select count(*) from due`), "no paused job is due")
		require.Zero(t, b.Count(`select count(*) from jobs where run_count <>
			(select count(*) from runs r where r.job_id = jobs.id and r.status = 'SUCCEEDED')`), "all are counted, once")
	})
}

// failing fails some of the runs that it executes, by their order; which says what becomes of each.
func failing(which ...bool) executorFunc {
	var mu sync.Mutex
	n := 0
	return func(context.Context, executor.Run) error {
		mu.Lock()
		defer mu.Unlock()
		n++
		if n <= len(which) && !which[n-1] {
			return nil
		}
		return errors.New("no luck")
	}
}
