package enginetest

import (
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/broker"
	"punctual/internal/executor"
	"punctual/internal/lease"
	"punctual/internal/poller"
	"punctual/internal/runs"
)

// NewLease creates the lease of an instance that exists only in the test.
func (e *Engine) NewLease() uuid.UUID {
	e.T.Helper()
	id := uuid.Must(uuid.NewV7())
	params := db.CreateLeaseParams{ID: id, Holder: "test", Duration: time.Minute}
	require.NoError(e.T, e.CreateLease(e.T.Context(), params))
	return id
}

// Expire makes a lease expire, and frees what was claimed under it, as a duty does.
func (e *Engine) Expire(leaseID uuid.UUID) {
	e.T.Helper()
	e.Exec(`update leases set expires_at = now() where id = $1`, leaseID)
	_, err := e.FreeAbandoned(e.T.Context())
	require.NoError(e.T, err)
}

// ClaimUnder claims all that is due within a time, under a lease.
func (e *Engine) ClaimUnder(leaseID uuid.UUID, ahead time.Duration) []db.ClaimRow {
	e.T.Helper()
	rows, err := e.Claim(e.T.Context(), db.ClaimParams{
		Token: runs.NewToken(), LeaseID: leaseID, MaxRows: 100, Ahead: ahead,
	})
	require.NoError(e.T, err)
	return rows
}

// ClaimOne claims the only run that is due within ten seconds. It is in flight from then on.
func (e *Engine) ClaimOne() db.ClaimRow {
	e.T.Helper()
	rows := e.ClaimUnder(e.NewLease(), 10*time.Second)
	require.Len(e.T, rows, 1, "runs that are due")
	return rows[0]
}

// Succeed ends the run of a claim with success.
func (e *Engine) Succeed(row db.ClaimRow) {
	e.T.Helper()
	e.save(runs.Resume(&row, row.Claimed.StartedAt, row.Job.Version).End(row.ReadAt, nil, nil))
}

// Begin claims the only run that is due now and begins its attempt.
func (e *Engine) Begin() *runs.Attempt {
	e.T.Helper()
	rows := e.ClaimUnder(e.NewLease(), 0)
	require.Len(e.T, rows, 1, "runs that are due")
	now := rows[0].ReadAt
	attempt, _ := e.Store().Open(e.T.Context(), now, rows)[0].Prepare(now)
	require.NotNil(e.T, attempt, "the run is to be executed")
	attempt.Begin(now)
	return attempt
}

// End ends an attempt now. The failure is nil if it succeeded.
func (e *Engine) End(attempt *runs.Attempt, failure error) {
	e.T.Helper()
	e.save(attempt.End(e.Now(), nil, failure))
}

func (e *Engine) save(ended *runs.Ended) {
	e.T.Helper()
	require.Empty(e.T, e.Store().Save(e.T.Context(), []*runs.Ended{ended}), "the runs that were not stored")
}

// ClaimForWorker claims the first run that waits in a queue, if there is one, as for a worker.
func (e *Engine) ClaimForWorker(queue string) []db.ClaimQueuedRow {
	e.T.Helper()
	leases := []uuid.UUID{uuid.Must(uuid.NewV7())}
	rows, err := e.ClaimQueued(e.T.Context(), db.ClaimQueuedParams{
		Token: runs.NewToken(), Queues: []string{queue}, Counts: []int32{1}, Befores: []int32{0}, LeaseIds: leases,
	})
	require.NoError(e.T, err)
	for i := range rows {
		require.NoError(e.T, e.GrantLeases(e.T.Context(), db.GrantLeasesParams{
			LeaseIds: leases, Holders: []string{"test"}, Durations: []time.Duration{time.Minute}, Queues: []string{queue},
			JobIds: []uuid.UUID{rows[i].Job.ID}, ScheduledFors: []time.Time{rows[i].Claimed.ScheduledFor}, JobVersions: []int32{1},
		}))
	}
	return rows
}

// Store returns a store of runs that tells nobody what becomes due.
func (e *Engine) Store() runs.Store {
	return runs.Store{
		Pool: e.Pool, Queries: e.Queries, Logger: discard, Events: e.Events, Jobs: e.Jobs, Due: func(*string, time.Time) {},
	}
}

// Pass executes what is due for instances, in one pass of a poller, and returns how many runs that
// were.
func (e *Engine) Pass() int {
	e.T.Helper()
	n, err := poller.New(poller.Config{
		Pool: e.Pool, Jobs: e.Jobs, Events: e.Events, Executor: executor.ByType{"log": executor.Log{Logger: discard}}, Logger: discard,
		Lease: lease.NewKeeper(lease.Config{Queries: e.Queries, Duration: time.Minute}),
	}).Pass(e.T.Context())
	require.NoError(e.T, err)
	return n
}

// Execute executes what is due for instances, which is so many runs.
func (e *Engine) Execute(runs int) {
	e.T.Helper()
	done := 0
	for n := -1; n != 0; done += n {
		n = e.Pass()
	}
	require.Equal(e.T, runs, done, "runs that were due")
}

// Broker returns a broker, which serves workers that do not wait.
func (e *Engine) Broker() *broker.Broker {
	return broker.New(broker.Config{Pool: e.Pool, Logger: discard, Jobs: e.Jobs, Events: e.Events})
}

// Lease leases a run of a queue for a worker, or returns nil if none is due.
func (e *Engine) Lease(queue string) *broker.Lease {
	e.T.Helper()
	held, err := e.Broker().Lease(e.T.Context(), broker.Ask{
		Queue: access.Qualified(By.Namespace, queue), MaxRuns: 1, Duration: time.Minute, Holder: "worker",
	})
	require.NoError(e.T, err)
	return held
}

// LeaseOne leases a run of a queue that is due.
func (e *Engine) LeaseOne(queue string) *runs.Attempt {
	e.T.Helper()
	held := e.Lease(queue)
	require.NotNil(e.T, held, "a run of the queue is due")
	require.Len(e.T, held.Runs, 1)
	return held.Runs[0]
}

// EndAll returns how the runs of a claim end now, each after one attempt. The failure is nil if
// they succeed.
func (e *Engine) EndAll(rows []db.ClaimRow, failure error) []*runs.Ended {
	e.T.Helper()
	all := make([]*runs.Ended, len(rows))
	now := e.Now()
	for i, claimed := range e.Store().Open(e.T.Context(), now, rows) {
		attempt, ended := claimed.Prepare(now)
		if attempt != nil {
			attempt.Begin(now)
			ended = attempt.End(now, nil, failure)
		}
		all[i] = ended
	}
	return all
}
