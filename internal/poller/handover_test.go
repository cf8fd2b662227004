package poller_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/jobs"
	"punctual/internal/runs"
)

// edit changes a job as the API does.
func (b bench) edit(job uuid.UUID, change func(*db.Job)) {
	b.t.Helper()
	require.NoError(b.t, b.change(job, func(q *db.Queries, locked jobs.Locked) error {
		after := locked.Job
		change(&after)
		if err := jobs.Reschedule(b.t.Context(), q, locked.Job, &after, locked.LockedAt); err != nil {
			return err
		}
		return q.UpdateJob(b.t.Context(), jobs.UpdateParams(after))
	}))
}

// waiting returns how many wait for a lock.
func (b bench) waiting() int {
	b.t.Helper()
	return b.count(`select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)
}

// whoClaims has everybody claim in turn, until somebody gets what is due, and returns who that is and the lease.
func (b bench) whoClaims() (who string, leaseID uuid.UUID) {
	b.t.Helper()
	leaseID = b.lease()
	if len(b.claim(leaseID)) > 0 {
		return "instances", leaseID
	}
	grouped, err := b.ClaimGrouped(b.t.Context(), db.ClaimGroupedParams{Token: runs.NewToken(), LeaseID: leaseID, MaxRows: 100})
	require.NoError(b.t, err)
	if len(grouped) > 0 {
		return "instances by turns", leaseID
	}
	for _, queue := range []string{"first", "second"} {
		leaseID = uuid.Must(uuid.NewV7())
		queued, err := b.ClaimQueued(b.t.Context(), db.ClaimQueuedParams{
			Token: runs.NewToken(), Queue: queue, LeaseIds: []uuid.UUID{leaseID}, Holders: []string{"test"}, Durations: []time.Duration{time.Minute},
		})
		require.NoError(b.t, err)
		if len(queued) > 0 {
			return "workers of the " + queue, leaseID
		}
	}
	return "nobody", leaseID
}

// What the dead have left goes on where the job is executed by then. Who executed it before may be gone for good.
func TestAbandonedRunGoesOnWhereItsJobIs(t *testing.T) {
	t.Parallel()
	inQueue := func(name string) func(*db.Job) {
		return func(j *db.Job) { j.Target = []byte(`{"type":"worker","queue":"` + name + `"}`) }
	}
	inGroup := func(j *db.Job) { j.ConcurrencyGroup, j.MaxConcurrency = new("group"), new(int32(1)) }
	const onInstances, onWorkers = "instances", "workers of the first"
	for name, c := range map[string]struct {
		from string
		edit func(*db.Job)
		// also is what else happens before the lease runs out.
		also string
		to   string
	}{
		"instances":                    {onInstances, func(*db.Job) {}, "", onInstances},
		"workers":                      {onWorkers, func(*db.Job) {}, "", onWorkers},
		"from instances to workers":    {onInstances, inQueue("first"), "", onWorkers},
		"from workers to instances":    {onWorkers, func(j *db.Job) { j.Target = []byte(`{"type":"log"}`) }, "", onInstances},
		"from workers to others":       {onWorkers, inQueue("second"), "", "workers of the second"},
		"into a group":                 {onInstances, inGroup, "", "instances by turns"},
		"out of a group":               {"instances by turns", func(j *db.Job) { j.ConcurrencyGroup, j.MaxConcurrency = nil, nil }, "", onInstances},
		"canceled":                     {onInstances, inQueue("first"), `update due set cancel_reason = 'REQUESTED'`, onInstances},
		"canceled, of workers":         {onWorkers, inQueue("second"), `update due set cancel_reason = 'REQUESTED'`, onInstances},
		"attempts used up":             {onInstances, inQueue("first"), `update jobs set max_attempts = 1`, onInstances},
		"attempts used up, of workers": {onWorkers, inQueue("second"), `update jobs set max_attempts = 1`, onInstances},
		"deleted, of workers":          {onWorkers, func(*db.Job) {}, `update jobs set deleted_at = now()`, onInstances},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			job := b.job(func(p *db.CreateJobParams) {
				switch c.from {
				case onWorkers:
					p.Target, p.Queue = []byte(`{"type":"worker","queue":"first"}`), new("first")
				case "instances by turns":
					p.ConcurrencyGroup, p.MaxConcurrency = new("group"), new(int32(1))
				}
			})
			who, dead := b.whoClaims()
			require.Equal(t, c.from, who)
			b.edit(job, c.edit)
			if c.also != "" {
				b.exec(c.also)
			}
			b.expire(dead)
			who, _ = b.whoClaims()
			require.Equal(t, c.to, who)
		})
	}
}

// Nor does it matter why a run is put back: an attempt that failed, or a claim that the instance never heard of.
func TestRunThatIsPutBackGoesOnWhereItsJobIs(t *testing.T) {
	t.Parallel()
	for name, putBack := range map[string]func(*testing.T, bench, uuid.UUID){
		"failed": func(t *testing.T, b bench, _ uuid.UUID) {
			t.Helper()
			p := db.RetryParams{
				JobIds: []uuid.UUID{{}}, ScheduledFors: []time.Time{{}}, Tokens: []int64{0}, ReadyAts: []time.Time{{}},
				FailedAttempts: [][]byte{[]byte(`{}`)},
			}
			require.NoError(t, b.pool.QueryRow(t.Context(), `select job_id, scheduled_for, token, ready_at from due`).
				Scan(&p.JobIds[0], &p.ScheduledFors[0], &p.Tokens[0], &p.ReadyAts[0]))
			stored, err := b.Retry(t.Context(), p)
			require.NoError(t, err)
			require.Len(t, stored, 1)
		},
		"lost": func(t *testing.T, b bench, leaseID uuid.UUID) {
			t.Helper()
			freed, err := b.FreeLost(t.Context(), db.FreeLostParams{LeaseID: &leaseID, KnownTokens: []int64{}})
			require.NoError(t, err)
			require.EqualValues(t, 1, freed)
		},
	} {
		for to, edit := range map[string]func(*db.Job){
			"instances":            func(j *db.Job) { j.ConcurrencyGroup, j.MaxConcurrency = nil, nil },
			"instances by turns":   func(j *db.Job) { j.ConcurrencyGroup, j.MaxConcurrency = new("group"), new(int32(1)) },
			"workers of the first": func(j *db.Job) { j.Target = []byte(`{"type":"worker","queue":"first"}`) },
		} {
			t.Run(name+", to "+to, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				job := b.job(func(p *db.CreateJobParams) {
					if to == "instances" {
						p.ConcurrencyGroup, p.MaxConcurrency = new("group"), new(int32(1))
					}
				})
				_, leaseID := b.whoClaims()
				b.edit(job, edit)
				putBack(t, b, leaseID)
				who, _ := b.whoClaims()
				require.Equal(t, to, who)
			})
		}
	}
}

// Nor that its worker has given it back.
func TestRunThatAWorkerReleasesGoesOnWhereItsJobIs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := b.job(func(p *db.CreateJobParams) {
		p.Target, p.Queue = []byte(`{"type":"worker","queue":"first"}`), new("first")
	})
	_, _ = b.whoClaims()
	b.edit(job, func(j *db.Job) {
		j.Target, j.ConcurrencyGroup, j.MaxConcurrency = []byte(`{"type":"log"}`), new("group"), new(int32(1))
	})
	p := db.ReleaseParams{JobID: job}
	require.NoError(t, b.pool.QueryRow(t.Context(), `select scheduled_for, token from due`).Scan(&p.ScheduledFor, &p.Token))
	released, err := b.Release(t.Context(), p)
	require.NoError(t, err)
	require.EqualValues(t, 1, released)
	who, _ := b.whoClaims()
	require.Equal(t, "instances by turns", who, "its group bounds it")
}

// An edit that holds the run's row while it is put back counts, too.
func TestRunThatIsPutBackDuringAnEditGoesOnWhereItsJobIs(t *testing.T) {
	t.Parallel()
	for name, putBack := range map[string]func(context.Context, bench, db.Due) error{
		"failed": func(ctx context.Context, b bench, row db.Due) error {
			_, err := b.Retry(ctx, db.RetryParams{
				JobIds: []uuid.UUID{row.JobID}, ScheduledFors: []time.Time{row.ScheduledFor}, Tokens: []int64{row.Token},
				ReadyAts: []time.Time{row.ReadyAt}, FailedAttempts: [][]byte{[]byte(`{}`)},
			})
			return err
		},
		"released": func(ctx context.Context, b bench, row db.Due) error {
			_, err := b.Release(ctx, db.ReleaseParams{JobID: row.JobID, ScheduledFor: row.ScheduledFor, Token: row.Token})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			job := b.job(func(p *db.CreateJobParams) {
				p.Target, p.Queue = []byte(`{"type":"worker","queue":"first"}`), new("first")
			})
			_, _ = b.whoClaims()
			isPutBack := make(chan error, 1)
			require.NoError(t, b.change(job, func(q *db.Queries, locked jobs.Locked) error {
				rows, err := q.LockDue(t.Context(), job)
				require.NoError(t, err)
				go func() { isPutBack <- putBack(t.Context(), b, rows[0]) }()
				require.Eventually(t, func() bool { return b.waiting() == 1 },
					10*time.Second, 10*time.Millisecond, "it waits for the edit")
				after := locked.Job
				after.Target = []byte(`{"type":"worker","queue":"second"}`)
				if err := jobs.Reschedule(t.Context(), q, locked.Job, &after, locked.LockedAt); err != nil {
					return err
				}
				return q.UpdateJob(t.Context(), jobs.UpdateParams(after))
			}))
			require.NoError(t, <-isPutBack)
			who, _ := b.whoClaims()
			require.Equal(t, "workers of the second", who)
		})
	}
}

// Nor is what waited for a run that a pause has skipped left behind.
func TestBufferedRunGoesOnWhereItsJobIs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := b.job(func(p *db.CreateJobParams) {
		p.Target, p.Queue = []byte(`{"type":"worker","queue":"first"}`), new("first")
	})
	_, err := b.startRun(job, db.OverlapPolicyBUFFERONE)
	require.NoError(t, err)
	require.Equal(t, 1, b.count(`select count(*) from due where buffered_for is not null`), "it waits for what is due")
	b.edit(job, func(j *db.Job) {
		j.Status, j.PausedSince = db.JobStatusPAUSED, new(time.Now())
		j.Target, j.Queue = []byte(`{"type":"worker","queue":"second"}`), new("second")
	})
	who, _ := b.whoClaims()
	require.Equal(t, "workers of the second", who)
}

// How a run ended tells who executed it, wherever its job is executed by then.
func TestAbandonedRunThatEndsTellsWhoExecutedIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := b.job(func(p *db.CreateJobParams) { p.MaxAttempts = 1 })
	dead := b.lease()
	require.Len(t, b.claim(dead), 1)
	b.edit(job, func(j *db.Job) { j.Target = []byte(`{"type":"worker","queue":"q"}`) })
	b.expire(dead)
	b.drain(succeed)
	runs := b.runs(job)
	require.NotEmpty(t, runs)
	require.Equal(t, "the instance that executed attempt 1 died", *runs[len(runs)-1].Error)
}
