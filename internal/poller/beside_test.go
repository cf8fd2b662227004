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
)

// What a run beside the schedule takes long for is no reason to pass over anything of the schedule.
func TestRunsBesideTheScheduleDoNotMoveIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := b.job(func(p *db.CreateJobParams) {
		p.IntervalSeconds, p.ScheduledFor = new(int64(1)), p.CreatedAt.Add(3661*time.Second)
		p.AnchorAt = new(p.AnchorAt.Add(-time.Hour))
	})
	view, err := b.jobs.Get(t.Context(), job)
	require.NoError(t, err)
	from := view.Job.AnchorAt.Add(time.Minute)
	done, err := b.jobs.Backfill(t.Context(), job, from, from)
	require.NoError(t, err)
	require.Equal(t, jobs.Backfilled{Runs: 1, Occurrences: 1}, done)
	require.Equal(t, 1, b.drain(executorFunc(func(context.Context, executor.Run) error {
		<-time.After(1100 * time.Millisecond) // longer than the interval
		return nil
	})))
	require.Len(t, b.runs(job), 1, "the run, and nothing passed over")
	require.Equal(t, 1, b.count(`select count(*) from due where carries_schedule and ready_at > now() + interval '50 minutes'`), "the schedule stays")
}

// failing fails the runs of some of a job's occurrences, by their order.
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

// Where runs may overlap, they are counted in the order in which they end.
func TestPauseAfterFailuresOfRunsThatMayOverlap(t *testing.T) {
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
			job := b.job(func(p *db.CreateJobParams) {
				p.OverlapPolicy, p.MaxAttempts, p.PauseAfterFailures = db.OverlapPolicyALLOWALL, 1, new(int16(2))
				p.IntervalSeconds, p.ScheduledFor, p.MaxRuns = new(int64(20)), p.CreatedAt.Add(20*time.Second), new(int64(3))
			})
			require.Equal(t, len(c.failed), b.drain(failing(c.failed...)))
			status, reason := b.jobStatus(job)
			require.Equal(t, c.status, status)
			if c.status == "PAUSED" {
				require.Equal(t, "2 runs failed in a row", reason)
			}
			require.Zero(t, b.count(`select count(*) from due`), "nothing is due any more")
			require.Equal(t, len(c.failed), b.count(`select run_count from jobs`))
		})
	}
}

// A run that was claimed when others had failed before it does not count those when they are forgiven.
func TestFailuresAreCountedWhenRunsEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := b.job(func(p *db.CreateJobParams) {
		p.OverlapPolicy, p.MaxAttempts, p.PauseAfterFailures = db.OverlapPolicyALLOWALL, 1, new(int16(2))
	})
	b.exec(`update due set failures = 1`)
	p := b.poller(executorFunc(func(context.Context, executor.Run) error {
		b.exec(`update due set failures = 0 where carries_schedule`) // another has succeeded meanwhile
		return errors.New("no luck")
	}), poller.Config{})
	n, err := p.Pass(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	status, _ := b.jobStatus(job)
	require.Equal(t, "ACTIVE", status)
	require.Equal(t, 1, b.count(`select failures from due where carries_schedule`))
}

// Where the database failed when the schedule was to go on without a run, it goes on when that ends.
func TestAScheduleThatDidNotGoOnWithoutItsRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := b.job(func(p *db.CreateJobParams) { p.OverlapPolicy = db.OverlapPolicyALLOWALL })
	b.exec(`create function refuse() returns trigger language plpgsql as $$ begin raise 'away'; end $$`)
	b.exec(`create trigger refused before insert on due for each row execute function refuse()`)
	n, err := b.poller(succeed, poller.Config{}).Pass(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Len(t, b.runs(job), 1)
	require.Equal(t, 1, b.count(`select count(*) from due d join jobs j on j.id = d.job_id
		where d.carries_schedule and d.run_count = 1 and d.scheduled_for = j.anchor_at + interval '2 minutes'`), "it is on the next occurrence")
}

// What is claimed may be edited before its schedule goes on without it: then it goes on as it was edited.
func TestAnEditBetweenAClaimAndItsSplit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := b.job(func(p *db.CreateJobParams) { p.OverlapPolicy = db.OverlapPolicyALLOWALL })
	claim := b.claim(b.lease())
	b.edit(job, jobs.Change{
		OverlapPolicy: jobs.Given(db.OverlapPolicySKIP), IntervalSeconds: jobs.Given(new(int64(3600))),
	})
	store := runs.Store{Queries: b.Queries, Logger: slog.Default(), Jobs: b.jobs, Due: func(*string, time.Time) {}}
	now := claim[0].ReadAt
	opened := store.Open(t.Context(), now, claim)
	require.Equal(t, 1, b.count(`select count(*) from due`), "nothing may begin before it ends")

	attempt, _ := opened[0].Prepare(now)
	require.NotNil(t, attempt)
	attempt.Begin(now)
	require.Empty(t, store.Save(t.Context(), []*runs.Ended{attempt.End(now, nil, nil)}))
	require.Equal(t, 1, b.count(`select count(*) from due where carries_schedule and ready_at > now() + interval '50 minutes'`), "then the new schedule counts")
}

// A target that says that the job is to pause is heard from any run of it.
func TestATargetPausesItsJob(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*db.CreateJobParams){
		"on its schedule":  func(*db.CreateJobParams) {},
		"beside it":        func(p *db.CreateJobParams) { p.OverlapPolicy = db.OverlapPolicyALLOWALL },
		"with more to try": func(p *db.CreateJobParams) { p.MaxAttempts = 5 },
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
			require.Zero(t, b.count(`select count(*) from due`), "nothing is due any more")
			require.Equal(t, "FAILED", b.runs(job)[0].Status)
		})
	}
}

// A schedule that goes on the moment it is taken down is taken down all the same.
func TestPausingMeetsAScheduleThatGoesOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var all []uuid.UUID
	for range 30 {
		all = append(all, b.job(func(p *db.CreateJobParams) {
			p.OverlapPolicy, p.IntervalSeconds, p.ScheduledFor = db.OverlapPolicyALLOWALL, new(int64(1)), p.CreatedAt.Add(61*time.Second)
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
	require.Eventually(t, func() bool { return b.count(`select count(*) from due where attempt > 0`) == 0 }, 20*time.Second, 10*time.Millisecond)
	stop()
	require.Equal(t, 30, b.count(`select count(*) from jobs where status = 'PAUSED'`))
	require.Zero(t, b.count(`select count(*) from due`), "no paused job is due")
	require.Zero(t, b.count(`select count(*) from jobs where run_count <>
		(select count(*) from runs r where r.job_id = jobs.id and r.status = 'SUCCEEDED')`), "all are counted, once")
}
