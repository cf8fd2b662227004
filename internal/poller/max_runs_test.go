package poller_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/poller"
	"punctual/internal/runs"
)

// backfill adds backfilled runs of a job, one for each of the last hours.
func (b bench) backfill(job uuid.UUID, n int) {
	b.T.Helper()
	b.Exec(`insert into due (job_id, scheduled_for, ready_at, carries_schedule, trigger)
		select $1, now() - n * interval '1 hour', now() - n * interval '1 hour', false, 'BACKFILL'
		from generate_series(1, $2::integer) n`, job, n)
	b.Exec(`select create_runs_partition((now() at time zone 'UTC')::date - 1)`)
}

// Runs off the schedule count: a job never has a scheduled run after its maxRuns.
func TestMaxRuns(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*newJob){
		"skip":                        func(*newJob) {},
		"allow all":                   func(p *newJob) { p.OverlapPolicy = db.OverlapPolicyALLOWALL },
		"while the schedule executes": func(p *newJob) { p.ScheduledFor = new(p.ScheduledFor.Add(-time.Minute)) },
		"deleted after completion":    func(p *newJob) { p.DeleteAfterCompletion = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			job := b.job(func(p *newJob) {
				p.MaxRuns = new(int64(2))
				p.ScheduledFor = new(p.ScheduledFor.Add(time.Minute))
				change(p)
			})
			b.backfill(job, 3)
			b.drain(succeed)
			require.Zero(t, b.Count(`select count(*) from due`), "nothing comes next")
			status, _ := b.jobStatus(job)
			deleted := b.Count(`select count(*) from jobs where deleted_at is not null`) == 1
			require.Equal(t, name == "deleted after completion", deleted)
			if !deleted {
				require.Equal(t, "COMPLETED", status)
			}
		})
	}
}

// A run that was claimed before others ended does not know that they count.
func TestMaxRunsWhenOthersEndDuringTheLastRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := b.job(func(p *newJob) { p.MaxRuns = new(int64(2)) })
	claim := b.ClaimUnder(b.NewLease(), 0)
	require.Len(t, claim, 1)
	b.backfill(job, 1)
	require.Equal(t, 1, b.drain(succeed))

	store := runs.Store{Pool: b.Pool, Queries: b.Queries, Logger: slog.Default(), Jobs: b.Jobs, Due: func(*string, time.Time) {}}
	now := claim[0].ReadAt
	attempt, _ := store.Open(t.Context(), now, claim)[0].Prepare(now)
	require.NotNil(t, attempt)
	attempt.Begin(now)
	require.Empty(t, store.Save(t.Context(), []*runs.Ended{attempt.End(now, nil, nil)}))
	status, _ := b.jobStatus(job)
	require.Equal(t, "COMPLETED", status)
	require.Equal(t, 2, b.Count(`select run_count from jobs`))
	require.Zero(t, b.Count(`select count(*) from due`), "no third run")
}

// While many runs are left, the end of one does not wait for the job's other runs.
func TestMaxRunsTakesNoLocksLongBeforeTheLastRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := b.job(func(p *newJob) {
		p.MaxRuns, p.ScheduledFor = new(int64(100)), new(p.ScheduledFor.Add(time.Hour))
	})
	b.backfill(job, 3)
	tx, err := b.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(t.Context())) }()
	_, err = tx.Exec(t.Context(), `select from due where carries_schedule for update`)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		_, err := b.poller(succeed, poller.Config{}).Pass(t.Context())
		done <- err
	}()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(10 * time.Second):
		require.Fail(t, "the ends of runs wait for the row that carries the schedule")
	}
}
