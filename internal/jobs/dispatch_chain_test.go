package jobs_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/runid"
	"punctual/internal/runs"
	"punctual/internal/testdb/enginetest"
)

// A chain keeps its cause and its depth on every way that a run may take: a backfilled occurrence
// starts a run of a worker that is tried again, which starts one that waits behind another, which
// starts one that cancels another.
func TestChainKeepsItsCauseAndDepth(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	on := func(key, more string) uuid.UUID {
		return e.Create(`{"name":"x","startsOn":{"events":["run.succeeded"],"jobs":{"keys":["` + key + `"]}}` + more + `}`).Job.ID
	}
	first := e.Create(`{"name":"first","key":"first","cron":"@yearly"}`).Job.ID
	worked := on("first", `,"key":"worked","minBackoffSeconds":0,"maxBackoffSeconds":0,"target":{"type":"worker","queue":"q"}`)
	waiting := on("worked", `,"key":"waiting","maxAttempts":1,"overlapPolicy":"BUFFER_ONE"`)
	canceling := on("waiting", `,"overlapPolicy":"CANCEL_OTHER"`)
	is := func(attempt *runs.Attempt, job, cause uuid.UUID, depth int16) uuid.UUID {
		t.Helper()
		require.Equal(t, job, attempt.Due.JobID)
		require.Equal(t, db.RunTriggerEVENT, attempt.Due.Trigger)
		require.Equal(t, cause, *attempt.Due.CausedBy)
		require.Equal(t, depth, *attempt.Due.EventDepth)
		return attempt.RunID()
	}

	e.Exec(`insert into due (job_id, scheduled_for, ready_at, carries_schedule, trigger)
		values ($1, now() - interval '1 day', now(), false, 'BACKFILL')`, first)
	backfilled := e.Begin()
	e.End(backfilled, nil)
	e.StartByEvents()
	for _, failure := range []error{errNoLuck, nil} {
		attempt := e.LeaseOne("q")
		is(attempt, worked, backfilled.RunID(), 1)
		if failure == nil { // another run is open when the chain goes on
			e.Start(waiting, "")
		}
		e.End(attempt, failure)
	}
	open := e.Begin()
	require.Equal(t, waiting, open.Due.JobID)
	e.StartByEvents()
	e.End(open, errNoLuck) // it starts nothing
	buffered := e.Begin()
	waited := is(buffered, waiting, runid.New(worked, e.Runs(worked)[0].ScheduledFor), 2)
	canceled := e.Start(canceling, "")
	require.Equal(t, canceling, e.Begin().Due.JobID)
	e.End(buffered, nil)
	e.StartByEvents()
	require.NotNil(t, e.Run(enginetest.IDOf(canceled)).CancelRequestedAt)
	is(e.Begin(), canceling, waited, 3)
}
