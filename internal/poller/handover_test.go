package poller_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/executor"
	"punctual/internal/jobs"
	"punctual/internal/testdb/enginetest"
)

// edit changes a job as the API does.
func (b bench) edit(job uuid.UUID, change jobs.Change) {
	b.T.Helper()
	_, err := b.Jobs.Update(b.T.Context(), enginetest.By, job, change)
	require.NoError(b.T, err)
}

// inQueue makes workers of a queue execute a job.
func inQueue(name string) jobs.Change {
	return jobs.Change{Target: jobs.Given(jobs.Target{"type": "worker", "queue": name})}
}

// onInstances makes instances execute a job.
func onInstances() jobs.Change { return jobs.Change{Target: jobs.Given(jobs.Target{"type": "log"})} }

// inGroup puts a job into a concurrency group, or takes it out of its group.
func inGroup(name *string) (c jobs.Change) {
	c.ConcurrencyGroup, c.MaxConcurrency = jobs.Given(name), jobs.Given[*int32](nil)
	if name != nil {
		c.MaxConcurrency = jobs.Given(new(int32(1)))
	}
	return c
}

// checkerFunc is called when a target is checked, and finds no fault.
type checkerFunc func()

func (c checkerFunc) Check(json.RawMessage, json.RawMessage) []executor.Fault {
	c()
	return nil
}

// due returns the only due row.
func (b bench) due() (row db.Due) {
	b.T.Helper()
	require.NoError(b.T, b.Pool.QueryRow(b.T.Context(), `select job_id, scheduled_for, token, ready_at from due`).
		Scan(&row.JobID, &row.ScheduledFor, &row.Token, &row.ReadyAt))
	return row
}

// waiting returns how many sessions wait for a lock.
func (b bench) waiting() int {
	b.T.Helper()
	return b.Count(`select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)
}

// whoClaims lets everybody claim in turn until somebody gets a run. It returns who that is, and the
// lease.
func (b bench) whoClaims() (who string, leaseID uuid.UUID) {
	b.T.Helper()
	leaseID = b.NewLease()
	if len(b.ClaimUnder(leaseID, 0)) > 0 {
		return "instances", leaseID
	}
	_, err := b.GivePlaces(b.T.Context(), db.GivePlacesParams{Queues: []string{"default/=~group"}})
	require.NoError(b.T, err)
	if len(b.ClaimUnder(leaseID, 0)) > 0 {
		return "instances by turns", leaseID
	}
	for _, queue := range []string{"first", "second"} {
		if queued := b.ClaimForWorker("default/" + queue); len(queued) > 0 {
			return "workers of the " + queue, queued[0].Claimed.LeaseID
		}
	}
	return "nobody", leaseID
}

// Whoever executed a run before, it goes on where its job is executed by then.
func TestHandover(t *testing.T) {
	t.Parallel()
	// Its instance or worker may be gone for good.
	t.Run("of an abandoned run", func(t *testing.T) {
		t.Parallel()
		const (
			instances, workers = "instances", "workers of the first"
			requested          = `update due set cancel_reason = 'REQUESTED'`
			deleted            = `update jobs set deleted_at = now(), target = '{"type":"log"}'`
		)
		for name, c := range map[string]struct {
			from string
			edit jobs.Change
			// also is what else happens before the lease runs out.
			also string
			to   string
		}{
			"instances":                    {instances, jobs.Change{}, "", instances},
			"workers":                      {workers, jobs.Change{}, "", workers},
			"from instances to workers":    {instances, inQueue("first"), "", workers},
			"from workers to instances":    {workers, onInstances(), "", instances},
			"from workers to others":       {workers, inQueue("second"), "", "workers of the second"},
			"into a group":                 {instances, inGroup(new("group")), "", "instances by turns"},
			"out of a group":               {"instances by turns", inGroup(nil), "", instances},
			"of workers into a group":      {workers, inGroup(new("group")), "", workers},
			"canceled, in a group":         {"instances by turns", jobs.Change{}, requested, instances},
			"deleted, in a group":          {"instances by turns", jobs.Change{}, deleted, instances},
			"canceled":                     {instances, inQueue("first"), requested, instances},
			"canceled, of workers":         {workers, inQueue("second"), requested, instances},
			"attempts used up":             {instances, inQueue("first"), `update jobs set max_attempts = 1`, instances},
			"attempts used up, of workers": {workers, inQueue("second"), `update jobs set max_attempts = 1`, instances},
			"deleted, of workers":          {workers, jobs.Change{}, deleted, instances},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				job := b.job(func(p *newJob) {
					switch c.from {
					case workers:
						p.Target = []byte(`{"type":"worker","queue":"first"}`)
					case "instances by turns":
						p.ConcurrencyGroup, p.MaxConcurrency = new("group"), new(int32(1))
					}
				})
				who, dead := b.whoClaims()
				require.Equal(t, c.from, who)
				b.edit(job, c.edit)
				if c.also != "" {
					b.Exec(c.also)
				}
				b.Expire(dead)
				who, _ = b.whoClaims()
				require.Equal(t, c.to, who)
			})
		}
	})
	// An attempt has failed, or the instance never heard of its claim.
	t.Run("of a run that is put back", func(t *testing.T) {
		t.Parallel()
		for name, putBack := range map[string]func(*testing.T, bench, uuid.UUID){
			"failed": func(t *testing.T, b bench, _ uuid.UUID) {
				t.Helper()
				p := db.RequeueFailedParams{
					JobIds: []uuid.UUID{{}}, ScheduledFors: []time.Time{{}}, Tokens: []int64{0}, ReadyAts: []time.Time{{}},
					FailedAttempts: [][]byte{[]byte(`{}`)},
				}
				require.NoError(t, b.Pool.QueryRow(t.Context(), `select job_id, scheduled_for, token, ready_at from due`).
					Scan(&p.JobIds[0], &p.ScheduledFors[0], &p.Tokens[0], &p.ReadyAts[0]))
				stored, err := b.RequeueFailed(t.Context(), p)
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
			for to, edit := range map[string]jobs.Change{
				"instances":            inGroup(nil),
				"instances by turns":   inGroup(new("group")),
				"workers of the first": inQueue("first"),
			} {
				t.Run(name+", to "+to, func(t *testing.T) {
					t.Parallel()
					b := setup(t)
					job := b.job(func(p *newJob) {
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
	})
	t.Run("of a run that its worker releases", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		job := b.job(func(p *newJob) {
			p.Target = []byte(`{"type":"worker","queue":"first"}`)
		})
		_, _ = b.whoClaims()
		change := inGroup(new("group"))
		change.Target = onInstances().Target
		b.edit(job, change)
		p := db.ReleaseParams{JobID: job}
		require.NoError(
			t,
			b.Pool.QueryRow(t.Context(), `select scheduled_for, token from due`).Scan(&p.ScheduledFor, &p.Token),
		)
		released, err := b.Release(t.Context(), p)
		require.NoError(t, err)
		require.EqualValues(t, 1, released)
		who, _ := b.whoClaims()
		require.Equal(t, "instances by turns", who, "its group bounds it")
	})
	// The edit counts, though it holds the row of the run meanwhile.
	t.Run("of a run that is put back during an edit", func(t *testing.T) {
		t.Parallel()
		for name, putBack := range map[string]func(context.Context, bench, db.Due) error{
			"failed": func(ctx context.Context, b bench, row db.Due) error {
				_, err := b.RequeueFailed(ctx, db.RequeueFailedParams{
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
				job := b.job(func(p *newJob) {
					p.Target = []byte(`{"type":"worker","queue":"first"}`)
				})
				_, _ = b.whoClaims()
				isPutBack := make(chan error, 1)
				b.Jobs = jobs.New(jobs.Config{Pool: b.Pool, Targets: checkerFunc(func() { // while the job is locked
					row := b.due()
					go func() { isPutBack <- putBack(t.Context(), b, row) }()
					require.Eventually(t, func() bool { return b.waiting() == 1 },
						10*time.Second, 10*time.Millisecond, "it waits for the edit")
				})})
				b.edit(job, inQueue("second"))
				require.NoError(t, <-isPutBack)
				who, _ := b.whoClaims()
				require.Equal(t, "workers of the second", who)
			})
		}
	})
	t.Run("of a run that waited for one that a pause has skipped", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		job := b.job(func(p *newJob) {
			p.Target = []byte(`{"type":"worker","queue":"first"}`)
		})
		_, err := b.startRun(job, db.OverlapPolicyBUFFERONE)
		require.NoError(t, err)
		require.Equal(t, 1, b.Count(`select count(*) from due where buffered_for is not null`), "it waits for what is due")
		change := inQueue("second")
		change.Status = jobs.Given(db.JobStatusPAUSED)
		b.edit(job, change)
		who, _ := b.whoClaims()
		require.Equal(t, "workers of the second", who)
	})
	t.Run("tells who executed the run before", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		job := b.job(func(p *newJob) { p.MaxAttempts = 1 })
		dead := b.NewLease()
		require.Len(t, b.ClaimUnder(dead, 0), 1)
		b.edit(job, inQueue("q"))
		b.Expire(dead)
		b.drain(succeed)
		runs := b.Runs(job)
		require.NotEmpty(t, runs)
		require.Equal(t, "the lease of test expired before the attempt ended", *runs[len(runs)-1].Error)
	})
}
