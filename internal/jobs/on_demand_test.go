package jobs_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/history"
	"punctual/internal/jobs"
	"punctual/internal/testdb/enginetest"
)

const askedFor = `{"name":"asked for","onDemand":true}`

// start starts a run.
func start(e *enginetest.Engine, job jobs.View, what jobs.RunStart) jobs.Run {
	e.T.Helper()
	run, err := e.Jobs.StartRun(e.T.Context(), enginetest.By, job.Job.ID, what)
	require.NoError(e.T, err)
	return run
}

func requireField(t *testing.T, err error, name string, code jobs.Code) {
	t.Helper()
	var invalid *jobs.Invalid
	require.ErrorAs(t, err, &invalid)
	require.Len(t, invalid.Fields, 1)
	require.Equal(t, name, invalid.Fields[0].Name)
	require.Equal(t, code, invalid.Fields[0].Code)
}

func TestOnDemandJobRunsWhenItIsAskedTo(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	job := e.Create(askedFor)
	require.Nil(t, job.NextRunAt)
	require.Equal(t, jobs.HealthNeverRan, job.Health)
	require.Equal(t, db.OverlapPolicyALLOWALL, job.Job.OverlapPolicy)
	require.Zero(t, e.Count(`select count(*) from due`))
	e.Execute(0)

	first, second := start(e, job, jobs.RunStart{}), start(e, job, jobs.RunStart{})
	require.Equal(t, []string{"PENDING", "PENDING"}, []string{first.Status, second.Status}, "they may overlap")
	e.Execute(2)
	after := e.Job(job.Job.ID)
	require.EqualValues(t, 2, after.RunCount)
	require.Equal(t, jobs.HealthOK, after.Health)
	require.Equal(t, db.RunStatusSUCCEEDED, after.LastRun.Status)
	require.Zero(t, e.Count(`select count(*) from due`))

	upcoming, err := e.Jobs.Upcoming(t.Context(), enginetest.By, job.Job.ID, 10)
	require.NoError(t, err)
	require.Empty(t, upcoming)
	done, err := e.Jobs.Backfill(t.Context(), enginetest.By, job.Job.ID, e.Now().Add(-time.Minute), e.Now())
	require.NoError(t, err)
	require.Equal(t, jobs.Backfilled{}, done, "it has no occurrence to run")
}

func TestOnDemandJobIsPausedAndResumed(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	job := e.Create(askedFor)
	waits := start(e, job, jobs.RunStart{})
	require.Equal(t, jobs.HealthPaused, e.Edit(job.Job.ID, `{"status":"PAUSED"}`).Health)
	start(e, job, jobs.RunStart{})
	e.Execute(2)
	require.Equal(t, "SUCCEEDED", e.Run(enginetest.IDOf(waits)).Status, "what was asked for is executed")
	resumed := e.Edit(job.Job.ID, `{"status":"ACTIVE"}`)
	require.Equal(t, db.JobStatusACTIVE, resumed.Job.Status)
	require.Nil(t, resumed.NextRunAt)
	require.Len(t, e.Runs(job.Job.ID), 2, "the pause skipped nothing")
}

func TestOnDemandJobCompletes(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	job := e.Create(`{"name":"x","onDemand":true,"maxRuns":2}`)
	for _, want := range []db.JobStatus{db.JobStatusACTIVE, db.JobStatusCOMPLETED} {
		start(e, job, jobs.RunStart{})
		e.Execute(1)
		require.Equal(t, want, e.Job(job.Job.ID).Job.Status)
	}
}

// A run in flight stays what it is, whatever kind of schedule its job gets, and the runs of a job
// that may not overlap do not.
func TestScheduleBecomesOnDemandAndBackWhileARunExecutes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ more, schedule, back string }{
		"may overlap":     {`,"overlapPolicy":"ALLOW_ALL"`, `"intervalInSeconds":null`, `"intervalInSeconds":60`},
		"may not overlap": {``, `"intervalInSeconds":null`, `"intervalInSeconds":60`},
		"by a cron":       {``, `"intervalInSeconds":null`, `"cron":"* * * * *"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := enginetest.New(t)
			job := e.Due(c.more)
			attempt := e.Begin()
			after := e.Edit(job.Job.ID, `{"onDemand":true,`+c.schedule+`}`)
			require.Nil(t, after.NextRunAt)
			require.True(t, after.IsRunning)
			require.Zero(t, e.Count(`select count(*) from due where carries_schedule`))
			after = e.Edit(job.Job.ID, `{"onDemand":false,`+c.back+`}`)
			require.NotNil(t, after.NextRunAt)
			require.Equal(t, 1, e.Count(`select count(*) from due where carries_schedule`))
			if c.more == "" {
				require.Equal(t, 1, e.Count(`select count(*) from due`), "the run carries the schedule")
			}
			e.End(attempt, nil)
			require.Equal(t, "SUCCEEDED", e.Run(attempt.RunID()).Status)
			require.Equal(t, 1, e.Count(`select count(*) from due`))
			require.EqualValues(t, 1, e.Job(job.Job.ID).RunCount)
		})
	}
	t.Run("and ends on demand", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Due(``)
		attempt := e.Begin()
		e.Edit(job.Job.ID, `{"onDemand":true,"intervalInSeconds":null}`)
		require.Equal(t, "SKIPPED", start(e, job, jobs.RunStart{}).Status, "it still has the overlap policy SKIP")
		e.End(attempt, nil)
		require.Zero(t, e.Count(`select count(*) from due`))
		require.EqualValues(t, 1, e.Job(job.Job.ID).RunCount)
	})
}

func TestRunHasAPayloadOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, policy := range []db.OverlapPolicy{skip, bufferOne, allowAll, cancelOther} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			e := enginetest.New(t)
			job := e.Due(`,"payload":{"of":"job"},"overlapPolicy":"` + string(policy) + `"`)
			first := e.Begin()
			require.JSONEq(t, `{"of":"job"}`, string(first.Payload()))
			run := start(e, job, jobs.RunStart{Payload: json.RawMessage(ownPayload)})
			requireBytes(t, run.Payload, "byte for byte")
			if policy == skip {
				requireBytes(t, e.Run(enginetest.IDOf(run)).Payload, "also of one that is skipped")
				return
			}
			e.Edit(job.Job.ID, `{"payload":{"of":"another version"},"status":"PAUSED"}`)
			e.End(first, nil)
			second := e.Begin()
			require.Equal(t, enginetest.IDOf(run), second.RunID())
			requireBytes(t, second.Payload())
			e.End(second, errNoLuck)
			e.Exec(`update due set ready_at = scheduled_for`)
			e.Exec(`update jobs set max_attempts = 2`)
			second = e.Begin()
			requireBytes(t, second.Payload(), "also at the next attempt")
			e.End(second, errNoLuck)
			ended := e.Run(enginetest.IDOf(run))
			require.Equal(t, "FAILED", ended.Status)
			requireBytes(t, ended.Payload)
			require.Empty(t, e.Runs(job.Job.ID)[0].Payload, "lists leave it out")
			require.Empty(t, e.Run(first.RunID()).Payload, "of a run that has the job's")

			again, err := e.Jobs.Retry(t.Context(), enginetest.By, enginetest.IDOf(run), nil)
			require.NoError(t, err)
			requireBytes(t, again.Payload, "a retry repeats it")
			e.Delete(job.Job.ID)
			requireBytes(t, e.Run(enginetest.IDOf(run)).Payload, "it stays as long as the run")
		})
	}
}

func TestLaterRun(t *testing.T) {
	t.Parallel()
	t.Run("is due then, and overlaps with nothing until then", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Create(`{"name":"x","onDemand":true,"overlapPolicy":"SKIP"}`)
		at := e.Now().Add(time.Hour)
		run := start(e, job, jobs.RunStart{At: &at, OverlapPolicy: new(allowAll), Payload: json.RawMessage(`1`)})
		require.Equal(t, at, run.ScheduledFor.In(at.Location()))
		require.Equal(t, "PENDING", run.Status)
		require.Equal(t, "TIME", *run.WaitingFor)
		e.Execute(0)
		require.Equal(t, "PENDING", start(e, job, jobs.RunStart{}).Status, "no run is open")
		require.Equal(t, "SKIPPED", start(e, job, jobs.RunStart{}).Status, "now one is")
		e.Execute(1)
		e.Exec(`update due set scheduled_for = now(), ready_at = now()`)
		e.Execute(1)
		require.EqualValues(t, 2, e.Job(job.Job.ID).RunCount)
	})
	t.Run("is found by lists", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Create(askedFor)
		at, end := e.Now().Add(1000*time.Hour), e.Now().Add(2000*time.Hour)
		run := start(e, job, jobs.RunStart{At: &at})
		e.Create(`{"name":"another","intervalInSeconds":60}`)
		for name, f := range map[string]jobs.RunFilter{
			"all": {To: &end}, "pending": {To: &end, Statuses: []string{"PENDING"}}, "by trigger": {To: &end, Triggers: []string{"MANUAL"}},
			"from then on": {From: &at, To: &end},
		} {
			found, next, err := e.Jobs.FindRuns(t.Context(), enginetest.By, withFrom(f, e.Now().Add(-time.Hour)), history.Place{At: end}, 10)
			require.NoError(t, err, name)
			require.Nil(t, next, name)
			require.Len(t, found, 1, name)
			require.Equal(t, run.ScheduledFor, found[0].ScheduledFor, name)
		}
		found, _, err := e.Jobs.FindRunsOf(t.Context(), enginetest.By, job.Job.ID, jobs.RunFilter{Statuses: []string{"PENDING"}}, history.Place{At: end}, 10)
		require.NoError(t, err)
		require.Len(t, found, 1)
		found, _, err = e.Jobs.FindRuns(t.Context(), enginetest.By, jobs.RunFilter{}, history.Place{At: end}, 10)
		require.NoError(t, err)
		require.Empty(t, found, "a list ends now, unless it says otherwise")
	})
	t.Run("is canceled", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Create(askedFor)
		run := start(e, job, jobs.RunStart{At: new(e.Now().Add(time.Hour))})
		require.NotNil(t, e.Cancel(enginetest.IDOf(run)).CancelRequestedAt)
		e.Exec(`update due set scheduled_for = now(), ready_at = now()`)
		e.Execute(1)
		require.Equal(t, 1, e.Count(`select count(*) from runs where status = 'CANCELED' and attempt = 0`))
	})
	t.Run("shares its instant with no other run", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Create(`{"name":"x","intervalInSeconds":60,"overlapPolicy":"ALLOW_ALL"}`)
		at := job.NextRunAt.Add(time.Minute)
		instants := map[time.Time]bool{}
		for range 50 {
			run := start(e, job, jobs.RunStart{At: &at})
			instants[run.ScheduledFor] = true
			require.True(t, run.ScheduledFor.After(at), "the schedule comes to the instant itself")
			require.WithinDuration(t, at, run.ScheduledFor, time.Second)
		}
		require.Len(t, instants, 50)
	})
	t.Run("does not stop the schedule that comes to its instant", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Due(``)
		attempt := e.Begin()
		next := job.NextRunAt.Add(time.Minute)
		start(e, job, jobs.RunStart{At: new(e.Now().Add(time.Hour)), OverlapPolicy: new(allowAll)})
		e.Exec(`update due set scheduled_for = $1, ready_at = $1 where trigger = 'MANUAL'`, next)
		e.End(attempt, nil)
		require.Equal(t, "SUCCEEDED", e.Run(attempt.RunID()).Status)
		require.Equal(t, 1, e.Count(`select count(*) from due where carries_schedule and scheduled_for = $1`, next.Add(time.Microsecond)))
		require.Equal(t, 2, e.Count(`select count(*) from due`))
	})
	t.Run("is refused", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Create(`{"name":"x","intervalInSeconds":60}`)
		_, err := e.Jobs.StartRun(t.Context(), enginetest.By, job.Job.ID, jobs.RunStart{At: new(e.Now().Add(time.Minute))})
		requireField(t, err, "startAt", jobs.Conflicting)
		_, err = e.Jobs.StartRun(t.Context(), enginetest.By, job.Job.ID, jobs.RunStart{At: new(e.Now().Add(-2 * time.Minute))})
		requireField(t, err, "startAt", jobs.InThePast)
		require.Equal(t, "PENDING", start(e, job, jobs.RunStart{At: new(e.Now().Add(-50 * time.Second))}).Status, "it has just passed")
	})
}

func withFrom(f jobs.RunFilter, from time.Time) jobs.RunFilter {
	if f.From == nil {
		f.From = &from
	}
	return f
}

// Jobs without a schedule come after those that are due, also in a list that is walked to.
func TestOnDemandJobsInLists(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	asked, due := e.Create(askedFor), e.Create(`{"name":"due","intervalInSeconds":60}`)
	paused := e.Create(`{"name":"paused","intervalInSeconds":60}`)
	e.Edit(paused.Job.ID, `{"status":"PAUSED"}`)
	page, err := e.Jobs.List(t.Context(), enginetest.By, jobs.List{Sort: jobs.SortByNextRunAt, Max: 10})
	require.NoError(t, err)
	var names []string
	for _, job := range page.Jobs {
		names = append(names, job.Job.Name)
	}
	require.Equal(t, []string{due.Job.Name, paused.Job.Name, asked.Job.Name}, names)
	page, err = e.Jobs.List(t.Context(), enginetest.By, jobs.List{Filter: jobs.Filter{Health: []jobs.Health{jobs.HealthNeverRan}}, Max: 10})
	require.NoError(t, err)
	require.Len(t, page.Jobs, 2)
}

// ownPayload is the payload of a run, whose bytes are to be kept.
const ownPayload = `{"n": 12345678901234567890.10,  "a":[1 ,2]}`

// requireBytes requires what was kept of ownPayload to be as it was given, byte for byte.
func requireBytes(t *testing.T, got json.RawMessage, why ...any) {
	t.Helper()
	require.True(t, ownPayload == string(got), why...) //nolint:testifylint // JSONEq would not see another form
}
