package poller_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/database"
	"punctual/internal/executor"
	"punctual/internal/jobs"
	"punctual/internal/lease"
	"punctual/internal/logging"
	"punctual/internal/maintenance"
	"punctual/internal/poller"
	"punctual/internal/runs"
	"punctual/internal/testdb"
)

// executorFunc executes a run by calling a function.
type executorFunc func(ctx context.Context, run executor.Run) error

func (e executorFunc) Execute(ctx context.Context, run executor.Run) (*executor.Result, error) {
	return nil, e(ctx, run)
}

var (
	succeed = executorFunc(func(context.Context, executor.Run) error { return nil })
	fail    = executorFunc(func(context.Context, executor.Run) error { return errors.New("no luck") })
)

// bench is a database of its own, with what a test does to it.
type bench struct {
	*db.Queries
	t    *testing.T
	pool *pgxpool.Pool
	jobs *jobs.Service
}

func setup(t *testing.T) bench {
	t.Helper()
	pool, err := database.Open(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	b := bench{Queries: db.New(pool), t: t, pool: pool, jobs: jobs.New(jobs.Config{Pool: pool})}
	_, err = maintenance.Partitions(b.Queries).Pass(t.Context())
	require.NoError(t, err)
	return b
}

// poller returns an instance of its own that executes with e.
func (b bench) poller(e executor.Executor, c poller.Config) *poller.Poller {
	b.t.Helper()
	c.Pool, c.Executor, c.Jobs = b.pool, e, b.jobs
	if c.Logger == nil {
		c.Logger = logging.New(b.t.Output(), slog.LevelWarn)
	}
	if c.Lease == nil {
		c.Lease = lease.NewKeeper(lease.Config{Queries: b.Queries, Duration: time.Minute})
	}
	return poller.New(c)
}

// drain makes passes until nothing is due.
func (b bench) drain(e executor.Executor) int {
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

// dueJob creates a job with an interval of a minute that was due a moment ago, and returns its id.
func (b bench) dueJob() uuid.UUID {
	b.t.Helper()
	return b.job(func(*db.CreateJobParams) {})
}

// job creates a job as dueJob does, but for what change changes.
func (b bench) job(change func(*db.CreateJobParams)) uuid.UUID {
	b.t.Helper()
	now, err := b.DatabaseTime(b.t.Context())
	require.NoError(b.t, err)
	created := now.Add(-61 * time.Second)
	params := db.CreateJobParams{
		ID: uuid.Must(uuid.NewV7()), Name: "due", Payload: []byte(`{"n":1}`),
		Target: []byte(`{"type":"log"}`), SecretNames: []string{},
		IntervalSeconds: new(int64(60)), AnchorAt: &created, CreatedAt: created, ScheduledFor: created.Add(time.Minute),
		MisfirePolicy: db.MisfirePolicyFIREONCE, OverlapPolicy: db.OverlapPolicySKIP, RunHistory: db.RunHistoryALL,
		MaxAttempts: 3, AttemptDeadlineSeconds: 60,
	}
	change(&params)
	_, err = b.CreateJob(b.t.Context(), params)
	require.NoError(b.t, err)
	return params.ID
}

func (b bench) exec(sql string, args ...any) {
	b.t.Helper()
	_, err := b.pool.Exec(b.t.Context(), sql, args...)
	require.NoError(b.t, err)
}

// runs returns a job's runs, in flight and ended.
func (b bench) runs(job uuid.UUID) []db.ListRunsRow {
	b.t.Helper()
	rows, err := b.ListRuns(b.t.Context(), db.ListRunsParams{JobID: job, Before: time.Now().Add(time.Hour), MaxRows: 100})
	require.NoError(b.t, err)
	return rows
}

func (b bench) jobStatus(job uuid.UUID) (status, reason string) {
	b.t.Helper()
	require.NoError(b.t, b.pool.QueryRow(b.t.Context(),
		"select status::text, coalesce(status_reason, '') from jobs where id = $1", job).Scan(&status, &reason))
	return status, reason
}

// lease takes a lease for an instance that exists only in the test.
func (b bench) lease() uuid.UUID {
	b.t.Helper()
	id := uuid.Must(uuid.NewV7())
	require.NoError(b.t, b.CreateLease(b.t.Context(), db.CreateLeaseParams{ID: id, Holder: "test", Duration: time.Minute}))
	return id
}

// claim claims all that is due under a lease.
func (b bench) claim(leaseID uuid.UUID) []db.ClaimRow {
	b.t.Helper()
	rows, err := b.Claim(b.t.Context(), db.ClaimParams{Token: runs.NewToken(), LeaseID: leaseID, MaxRows: 100})
	require.NoError(b.t, err)
	return rows
}

// expire lets a lease run out, and what was claimed under it be freed.
func (b bench) expire(leaseID uuid.UUID) {
	b.t.Helper()
	b.exec(`update leases set expires_at = now() where id = $1`, leaseID)
	_, err := b.FreeAbandoned(b.t.Context())
	require.NoError(b.t, err)
}

// completion completes a row that an instance has executed.
func completion(of db.ClaimRow) db.CompleteParams {
	row := of.Claimed
	return db.CompleteParams{
		JobIds: []uuid.UUID{row.JobID}, ScheduledFors: []time.Time{row.ScheduledFor}, Tokens: []int64{row.Token},
		Revisions: []int32{row.Revision}, Triggers: []string{string(row.Trigger)}, RetryOfs: []time.Time{{}}, Results: []string{""},
		Attempts: []int16{row.Attempt}, StartedAts: []time.Time{row.StartedAt}, FinishedAts: []time.Time{of.ReadAt},
		Statuses: []string{string(db.RunStatusSUCCEEDED)}, Reasons: []string{""}, Errors: []string{""}, ExecutedBys: []string{""},
		FailedAttempts: []string{""}, Occurrences: []int32{1}, Kept: []bool{true}, NextFors: []time.Time{row.ScheduledFor.Add(time.Minute)},
		SkippedFors: []time.Time{{}}, SkippedCounts: []int32{0}, FinalStatuses: []string{""}, StatusReasons: []string{""},
	}
}
