package broker_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/broker"
	"punctual/internal/runs"
	"punctual/internal/testdb/enginetest"
)

// queued is the part of a job's JSON that gives it to the workers of a queue.
const queued = `,"target":{"type":"worker","queue":"q"}`

var errNoLuck = errors.New("no luck")

// succeed reports that a leased run has succeeded.
func succeed(t *testing.T, e *enginetest.Engine, run *runs.Attempt) {
	t.Helper()
	require.NoError(t, e.Broker().End(t.Context(), enginetest.By, broker.Report{Run: run.RunID(), Token: run.Due.Token}))
}

// refuse requires that every report of a worker that holds no run any more is refused.
func refuse(t *testing.T, b *broker.Broker, leaseID, run uuid.UUID, token int64) {
	t.Helper()
	require.ErrorIs(t, b.End(t.Context(), enginetest.By, broker.Report{Run: run, Token: token}), broker.ErrNotLeased, "success")
	require.ErrorIs(t, b.End(t.Context(), enginetest.By, broker.Report{Run: run, Token: token, Failure: errNoLuck}), broker.ErrNotLeased, "failure")
	require.ErrorIs(t, b.Release(t.Context(), enginetest.By, run, token), broker.ErrNotLeased, "release")
	_, _, err := b.Heartbeat(t.Context(), enginetest.By, leaseID)
	require.ErrorIs(t, err, broker.ErrNotLeased, "heartbeat")
}

func TestLostLease(t *testing.T) {
	t.Parallel()
	for name, comesBack := range map[string]func(t *testing.T, e *enginetest.Engine, run *runs.Attempt){
		"while its run waits": func(*testing.T, *enginetest.Engine, *runs.Attempt) {},
		"while another worker executes it": func(t *testing.T, e *enginetest.Engine, run *runs.Attempt) {
			t.Helper()
			again := e.LeaseOne("q")
			require.Equal(t, run.RunID(), again.RunID())
			require.EqualValues(t, 2, again.Due.Attempt)
			require.NotEqual(t, again.Due.Token, run.Due.Token)
			require.Equal(t, run.Instant(), again.Instant())
		},
		"after another worker has executed it": func(t *testing.T, e *enginetest.Engine, _ *runs.Attempt) {
			t.Helper()
			succeed(t, e, e.LeaseOne("q"))
		},
	} {
		t.Run("is noticed "+name, func(t *testing.T) {
			t.Parallel()
			e := enginetest.New(t)
			e.Due(queued)
			held := e.Lease("q")
			run := held.Runs[0]
			e.Expire(held.ID)
			comesBack(t, e, run)
			before := e.Run(run.RunID())
			refuse(t, e.Broker(), held.ID, run.RunID(), run.Due.Token)
			require.Equal(t, before, e.Run(run.RunID()), "the report changes nothing")
		})
	}
	// No worker asks for it any more.
	t.Run("ends a run that has lost all its attempts", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		before := e.Due(queued + `,"maxAttempts":2`)
		var run uuid.UUID
		for range 2 {
			held := e.Lease("q")
			require.NotNil(t, held)
			run = held.Runs[0].RunID()
			e.Expire(held.ID)
		}
		require.Nil(t, e.Lease("q"))
		e.Execute(1)
		ended := e.Run(run)
		require.Equal(t, "FAILED", ended.Status)
		require.Equal(t, db.RunReasonLEASEEXPIRED, *ended.Reason)
		require.Equal(t, "the lease of worker expired before the attempt ended", *ended.Error)
		require.EqualValues(t, 2, ended.Attempt)
		require.WithinDuration(t, before.NextRunAt.Add(time.Minute), *e.Job(before.Job.ID).NextRunAt, 0)
		require.Equal(t, 1, e.Count(`select count(*) from due where awaits_worker and queue = 'default/q'`),
			"the next is for workers again")
	})
	t.Run("ends a run that was canceled", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		e.Due(queued)
		held := e.Lease("q")
		run := held.Runs[0].RunID()
		e.Cancel(run)
		require.Equal(t, "RUNNING", e.Run(run).Status)
		_, canceled, err := e.Broker().Heartbeat(t.Context(), enginetest.By, held.ID)
		require.NoError(t, err)
		require.Equal(t, []uuid.UUID{run}, canceled)
		require.Nil(t, e.Lease("q"))

		e.Expire(held.ID)
		require.Nil(t, e.Lease("q"), "no worker is needed for it any more")
		e.Execute(1)
		require.Equal(t, "CANCELED", e.Run(run).Status)
		require.ErrorIs(t, e.Broker().End(t.Context(), enginetest.By, broker.Report{Run: run, Token: held.Runs[0].Due.Token}), broker.ErrNotLeased)
		require.Equal(t, 1, e.Count(`select count(*) from due
			where carries_schedule and scheduled_for > now() and awaits_worker`))
	})
}

// An attempt has its time, however alive its worker is.
func TestAttemptDeadline(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	b := e.Broker()
	e.Due(queued + `,"attemptDeadlineSeconds":30,"maxAttempts":2,"minBackoffSeconds":0,"maxBackoffSeconds":0`)
	for _, status := range []string{"RUNNING", "FAILED"} {
		held := e.Lease("q")
		require.NotNil(t, held)
		job := held.Runs[0].Due.JobID
		n, err := b.EndOverdue(t.Context())
		require.NoError(t, err)
		require.Zero(t, n, "it is in time")
		e.Age(job, 30*time.Second)
		e.Exec(`with leases as (update leases set created_at = created_at - interval '30 seconds',
				scheduled_fors = array(select scheduled_for from due))
			update due set started_at = started_at - interval '30 seconds'`)
		_, _, err = b.Heartbeat(t.Context(), enginetest.By, held.ID)
		require.NoError(t, err)

		n, err = b.EndOverdue(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
		all := e.Runs(job)
		run := all[len(all)-1]
		require.Equal(t, status, run.Status)
		refuse(t, b, held.ID, enginetest.IDOf(run), held.Runs[0].Due.Token)
		if status == "FAILED" {
			require.Equal(t, db.RunReasonDEADLINEEXCEEDED, *run.Reason)
			require.Equal(t, "attempt deadline exceeded after 30s", *run.Error)
			var failed []json.RawMessage
			require.NoError(t, json.Unmarshal(run.FailedAttempts, &failed))
			require.Len(t, failed, 1)
		}
	}
}
