package jobs_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/testdb/enginetest"
)

// watch creates a job that is watched, and one that each failure of it starts. more is the rest of
// the JSON of that, which begins with a comma, or empty.
func watch(e *enginetest.Engine, more string) (watched, alert uuid.UUID) {
	e.T.Helper()
	watched = e.Create(onDemand + `,"name":"watched"}`).Job.ID
	return watched, e.Create(`{"name":"alert","maxAttempts":1,"startsOn":{"events":["run.failed"]}` + more + `}`).Job.ID
}

func TestStartByEvents_byStateOfTheJob(t *testing.T) {
	t.Parallel()
	t.Run("skips the runs of a job that is paused", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		watched, alert := watch(e, "")
		e.Edit(alert, `{"status":"PAUSED","statusReason":"holiday"}`)
		cause := fail(e, watched)
		drive(e)
		require.Equal(t, []string{"SKIPPED EVENT JOB_PAUSED"}, endOf(e, alert))
		require.Equal(t, "holiday", *e.Runs(alert)[0].StatusReason)
		_, causes := payloadsOf(e, alert)
		require.Equal(t, []string{cause.String()}, causes)
		e.Edit(alert, `{"status":"ACTIVE"}`)
		fail(e, watched)
		drive(e)
		require.Equal(t, []string{"SUCCEEDED EVENT", "SKIPPED EVENT JOB_PAUSED"}, endOf(e, alert))
	})

	t.Run("skips the runs of a job whose namespace is suspended", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		watched, alert := watch(e, "")
		fail(e, watched)
		e.Exec(`update namespaces set suspended_at = now() where name = 'default'`)
		drive(e) // before the duty has paused the job
		require.Equal(t, []string{"SKIPPED EVENT JOB_PAUSED"}, endOf(e, alert))
		require.Equal(t, "The namespace is suspended.", *e.Runs(alert)[0].StatusReason)
	})

	t.Run("forgets what starts a job that is deleted, or that no event starts any more", func(t *testing.T) {
		t.Parallel()
		for _, change := range []func(*enginetest.Engine, uuid.UUID){
			func(e *enginetest.Engine, job uuid.UUID) { e.Delete(job) },
			func(e *enginetest.Engine, job uuid.UUID) { e.Edit(job, `{"onDemand":true}`) },
		} {
			e := enginetest.New(t)
			watched, alert := watch(e, "")
			fail(e, watched)
			require.Equal(t, 1, e.Count(`select count(*) from event_starts`))
			change(e, alert)
			drive(e)
			require.Zero(t, e.Count(`select count(*) from event_starts`))
			require.Empty(t, e.Runs(alert))
			fail(e, watched)
			require.Zero(t, e.Count(`select count(*) from event_starts`), "it is known that no event starts it")
		}
	})

	t.Run("starts no more runs than maxRuns, and completes the job", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		watched, alert := watch(e, `,"maxRuns":2`)
		for range 3 {
			fail(e, watched)
		}
		require.Positive(t, e.StartByEvents())
		require.Equal(t, 2, e.Count(`select count(*) from due where job_id = $1`, alert))
		drive(e)
		require.Equal(t, []string{"SUCCEEDED EVENT", "SUCCEEDED EVENT"}, endOf(e, alert))
		require.Equal(t, db.JobStatusCOMPLETED, e.Job(alert).Job.Status)
		require.Zero(t, e.Count(`select count(*) from event_starts`))
	})

	t.Run("completes a job that had its maxRuns when the instance died", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		watched, alert := watch(e, `,"maxRuns":1`)
		fail(e, watched)
		drive(e)
		e.Exec(`update jobs set status = 'ACTIVE' where id = $1`, alert) // as it was before the instance completed it
		fail(e, watched)
		drive(e)
		require.Equal(t, []string{"SUCCEEDED EVENT"}, endOf(e, alert))
		require.Equal(t, db.JobStatusCOMPLETED, e.Job(alert).Job.Status)
		require.Zero(t, e.Count(`select count(*) from event_starts`))
	})

	t.Run("pauses a job after failures in a row", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		watched, alert := watch(e, `,"pauseAfterFailures":2`)
		listener := e.Create(`{"name":"listener","startsOn":{"events":["job.paused"]}}`).Job.ID
		for n := range 2 {
			require.Equal(t, db.JobStatusACTIVE, e.Job(alert).Job.Status)
			fail(e, watched)
			e.StartByEvents()
			e.End(e.Begin(), errNoLuck)
			require.EqualValues(t, n+1, e.Job(alert).ConsecutiveFailures)
		}
		require.Equal(t, db.JobStatusPAUSED, e.Job(alert).Job.Status)
		drive(e)
		payloads, _ := payloadsOf(e, listener)
		data := payloads[0]["data"].(map[string]any)
		require.Equal(t, []any{"alert", "2 runs failed in a row", "system"}, []any{data["jobName"], data["statusReason"], data["actor"]})
	})
}

// What an instance has noted and not started, because it died in between, another one starts.
func TestStartByEvents_afterFaults(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	watched, alert := watch(e, "")
	cause := fail(e, watched)
	e.Exec(`create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$`)
	e.Exec(`create trigger refuse before insert on due for each row execute function refuse()`)
	_, err := e.Jobs.StartByEvents(t.Context(), time.Minute)
	require.ErrorContains(t, err, "no")
	require.Equal(t, 1, e.Count(`select count(*) from event_starts`), "it was undone as a whole")
	e.Exec(`drop trigger refuse on due`)
	for range 3 {
		drive(e)
	}
	_, causes := payloadsOf(e, alert)
	require.Equal(t, []string{cause.String()}, causes)
}

// Several instances do it at once.
func TestStartByEvents_together(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	_, alert := watch(e, "")
	skipping := e.Create(`{"name":"skipping","overlapPolicy":"SKIP","startsOn":{"events":["run.failed"]}}`).Job.ID
	const starts = 3000
	e.Exec(`insert into event_starts (job_id, namespace, ready_at, event, event_depth)
		select $1, 'default', now(), '{}', 1 from generate_series(1, $2)`, alert, starts)
	e.Exec(`insert into event_starts (job_id, namespace, ready_at, event, event_depth)
		select $1, 'default', now(), '{}', 1 from generate_series(1, 150)`, skipping)
	done := make(chan error)
	for range 4 {
		go func() {
			_, err := e.Jobs.StartByEvents(t.Context(), time.Minute)
			done <- err
		}()
	}
	for range 4 {
		require.NoError(t, <-done)
	}
	require.Equal(t, starts, e.Count(`select count(*) from due where job_id = $1`, alert))
	require.Equal(t, 150, e.Count(`select (select count(*) from due where job_id = $1) + (select count(*) from runs where job_id = $1)`, skipping))
}

// A window begins with its first event, the others join it, and what comes after it begins another.
func TestStartByEvents_windows(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	watched := e.Create(onDemand + `,"name":"watched"}`).Job.ID
	alert := e.Create(`{"name":"alert","startsOn":{"events":["run.failed"],"groupWithinSeconds":60}}`).Job.ID
	for range 2 {
		fail(e, watched)
	}
	require.Equal(t, 1, e.Count(`select count(distinct ready_at) from event_starts
		where ready_at between happened_at + interval '50 seconds' and happened_at + interval '61 seconds'`))
	require.InDelta(t, 60, e.StartByEvents().Seconds(), 10)
	e.Exec(`update event_starts set ready_at = now() + interval '900 milliseconds'`) // the window has ended
	fail(e, watched)
	require.Equal(t, 2, e.Count(`select count(distinct ready_at) from event_starts`))
	e.Exec(`update event_starts set ready_at = ready_at - interval '900 milliseconds' where ready_at < now() + interval '1 second'`)
	drive(e)
	payloads, _ := payloadsOf(e, alert)
	require.Len(t, payloads, 1)
	require.EqualValues(t, 2, payloads[0]["data"].(map[string]any)["count"])
	require.Equal(t, 1, e.Count(`select count(*) from event_starts`))
}
