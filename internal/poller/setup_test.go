package poller_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/executor"
	"punctual/internal/lease"
	"punctual/internal/logging"
	"punctual/internal/poller"
	"punctual/internal/testdb/enginetest"
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

// bench is an engine, on a database of its own, with what only tests of the poller do to it.
type bench struct {
	*enginetest.Engine
}

func setup(t *testing.T) bench {
	t.Helper()
	return bench{enginetest.New(t)}
}

// poller returns an instance of its own that executes with e.
func (b bench) poller(e executor.Executor, c poller.Config) *poller.Poller {
	b.T.Helper()
	c.Pool, c.Executor, c.Jobs = b.Pool, e, b.Jobs
	if c.Logger == nil {
		c.Logger = logging.New(b.T.Output(), slog.LevelWarn)
	}
	if c.Lease == nil {
		c.Lease = lease.NewKeeper(lease.Config{Queries: b.Queries, Duration: time.Minute})
	}
	return poller.New(c)
}

// drain makes passes until nothing is due.
func (b bench) drain(e executor.Executor) int {
	b.T.Helper()
	p, all := b.poller(e, poller.Config{}), 0
	for {
		n, err := p.Pass(b.T.Context())
		require.NoError(b.T, err)
		if n == 0 {
			return all
		}
		all += n
	}
}

// newJob is a job that is created, with its first occurrence. Nil: it has none.
type newJob struct {
	db.CreateJobParams
	ScheduledFor *time.Time
}

// dueJob creates a job with an interval of a minute that was due a moment ago, and returns its id.
func (b bench) dueJob() uuid.UUID {
	b.T.Helper()
	return b.job(func(*newJob) {})
}

// job creates a job as dueJob does, but for what change changes.
func (b bench) job(change func(*newJob)) uuid.UUID {
	b.T.Helper()
	now, err := b.DatabaseTime(b.T.Context())
	require.NoError(b.T, err)
	created := now.Add(-61 * time.Second)
	params := newJob{ScheduledFor: new(created.Add(time.Minute)), CreateJobParams: db.CreateJobParams{
		OnSkipped: db.OnSkippedDROP, AlertAfterFailures: 1,
		ID: uuid.Must(uuid.NewV7()), Namespace: access.DefaultNamespace, UpdatedBy: "test", Name: "due", Payload: []byte(`{"n":1}`),
		Target: []byte(`{"type":"log"}`), SecretNames: []string{},
		IntervalSeconds: new(int64(60)), AnchorAt: &created, CreatedAt: created,
		MisfirePolicy: db.MisfirePolicyFIREONCE, OverlapPolicy: db.OverlapPolicySKIP, RunHistory: db.RunHistoryALL,
		MaxAttempts: 3, AttemptDeadlineSeconds: 60,
	}}
	change(&params)
	require.NoError(b.T, b.CreateJob(b.T.Context(), params.CreateJobParams))
	if params.ScheduledFor != nil {
		require.NoError(b.T, b.CreateFirst(b.T.Context(), db.CreateFirstParams{ID: params.ID, ScheduledFor: *params.ScheduledFor}))
	}
	return params.ID
}

// await returns when so much of the database's time has passed.
func (b bench) await(d time.Duration) {
	b.T.Helper()
	b.Exec(`select pg_sleep_for($1)`, d)
}

func (b bench) jobStatus(job uuid.UUID) (status, reason string) {
	b.T.Helper()
	require.NoError(b.T, b.Pool.QueryRow(b.T.Context(),
		"select status::text, coalesce(status_reason, '') from jobs where id = $1", job).Scan(&status, &reason))
	return status, reason
}

// complete completes a row that an instance has executed, and returns how many runs have ended.
func (b bench) complete(of db.ClaimRow) int {
	b.T.Helper()
	row := of.Claimed
	jobs, instants, finished := []uuid.UUID{row.JobID}, []time.Time{row.ScheduledFor}, []time.Time{of.ReadAt}
	triggers, succeeded := []string{string(row.Trigger)}, []string{string(db.RunStatusSUCCEEDED)}
	attempts, started := []int16{row.Attempt}, []time.Time{row.StartedAt}
	ended, err := b.Complete(b.T.Context(), db.CompleteParams{
		JobIds: jobs, ScheduledFors: instants, Tokens: []int64{row.Token}, Revisions: []int32{row.Revision}, Triggers: triggers,
		Attempts: attempts, StartedAts: started, FinishedAts: finished, Statuses: succeeded,
		NextFors: []time.Time{row.ScheduledFor.Add(time.Minute)}, FinalStatuses: []string{""}, StatusReasons: []string{""},
	})
	require.NoError(b.T, err)
	if len(ended) > 0 {
		require.NoError(b.T, b.RecordRuns(b.T.Context(), db.RecordRunsParams{
			JobIds: jobs, ScheduledFors: instants, Triggers: triggers, RetryOfs: []time.Time{{}}, Attempts: attempts, StartedAts: started,
			FinishedAts: finished, Statuses: succeeded, Reasons: []string{""}, Errors: []string{""}, Results: []string{""},
			ExecutedBys: []string{""}, FailedAttempts: []string{""}, Occurrences: []int32{1}, JobVersions: []int32{0},
			CancelRequestedAts: []time.Time{{}}, Payloads: []string{""}, CausedBys: []uuid.UUID{{}},
		}))
	}
	return len(ended)
}
