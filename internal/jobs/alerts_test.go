package jobs_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/testdb/enginetest"
)

// told returns what was told of jobs since the last call, as a job hears it that starts on it.
func told(e *enginetest.Engine) []string {
	e.T.Helper()
	rows, err := e.Pool.Query(e.T.Context(), `
		select concat_ws(' ', event ->> 'type', event -> 'data' ->> 'jobName', event -> 'data' ->> 'consecutiveFailures')
		from event_starts
		order by happened_at`)
	require.NoError(e.T, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(e.T, err)
	e.Exec(`delete from event_starts`)
	return all
}

// hear creates a job that hears what happens to jobs.
func hear(e *enginetest.Engine) {
	e.Create(`{"name":"alert","startsOn":{"events":["job.failing","job.recovered","job.overdue"]}}`)
}

func succeed(e *enginetest.Engine, job uuid.UUID) {
	e.Start(job, db.OverlapPolicyALLOWALL)
	e.End(e.Begin(), nil)
}

func TestAJobIsToldToBeFailingOnce(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"by its schedule": `,"maxAttempts":1,"alertAfterFailures":3`,
		"on demand":       "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := enginetest.New(t)
			hear(e)
			var job uuid.UUID
			run := func(failure error) { // of the schedule
				e.End(e.Begin(), failure)
				e.Age(job, time.Minute)
			}
			if body != "" {
				job = e.Due(body).Job.ID
			} else {
				job = e.Create(onDemand + `,"name":"due","alertAfterFailures":3}`).Job.ID
				run = func(failure error) {
					e.Start(job, "")
					e.End(e.Begin(), failure)
				}
			}
			run(errNoLuck)
			run(errNoLuck)
			require.Empty(t, told(e))
			require.Nil(t, e.Job(job).Job.FailingSince)
			run(errNoLuck)
			require.Equal(t, []string{"job.failing due 3"}, told(e))
			require.NotNil(t, e.Job(job).Job.FailingSince)
			run(errNoLuck)
			require.Empty(t, told(e), "it was told")
			run(nil)
			require.Equal(t, []string{"job.recovered due 0"}, told(e))
			require.Nil(t, e.Job(job).Job.FailingSince)
			run(nil)
			require.Empty(t, told(e))
		})
	}
}

// Runs that fail at the same time, on several instances, are one alert.
func TestRunsThatFailTogetherAreOneAlert(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	hear(e)
	job := e.Create(onDemand + `,"name":"many","alertAfterFailures":4}`).Job.ID
	for range 12 {
		e.Start(job, "")
	}
	all := e.EndAll(e.ClaimUnder(e.NewLease(), 0), errNoLuck)
	require.Len(t, all, 12)
	var storing sync.WaitGroup
	for i := range all {
		storing.Go(func() { require.Empty(t, e.Store().Save(t.Context(), all[i:i+1:i+1])) })
	}
	storing.Wait()
	require.Equal(t, []string{"job.failing many 4"}, told(e))
}

// A job that is resumed begins again.
func TestAJobThatIsResumedIsNotFailing(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	hear(e)
	job := e.Create(onDemand + `,"name":"x","pauseAfterFailures":1}`).Job.ID
	fail(e, job)
	require.Equal(t, []string{"job.failing x 1"}, told(e))
	require.Equal(t, db.JobStatusPAUSED, e.Job(job).Job.Status)
	require.Nil(t, e.Edit(job, `{"status":"ACTIVE"}`).Job.FailingSince)
	fail(e, job)
	require.Equal(t, []string{"job.failing x 1"}, told(e))
}

// expire lets all that is expected be overdue.
func expire(e *enginetest.Engine) {
	e.Exec(`update expected_successes set expected_by = now() - interval '1 second' where expected_by < 'infinity'`)
}

func tellOverdue(e *enginetest.Engine) time.Duration {
	e.T.Helper()
	next, err := e.Jobs.TellOverdue(e.T.Context())
	require.NoError(e.T, err)
	return next
}

func TestAJobThatDoesNotSucceedIsOverdueOnce(t *testing.T) {
	t.Parallel()
	const expects = `,"expectSuccessWithinSeconds":3600`
	for name, prepare := range map[string]func(e *enginetest.Engine, job uuid.UUID){
		"never ran":       func(*enginetest.Engine, uuid.UUID) {},
		"is paused":       func(e *enginetest.Engine, job uuid.UUID) { e.Edit(job, `{"status":"PAUSED"}`) },
		"fails":           func(e *enginetest.Engine, job uuid.UUID) { fail(e, job); require.Len(e.T, told(e), 1) },
		"has once been":   func(e *enginetest.Engine, job uuid.UUID) { succeed(e, job) },
		"expects it anew": func(e *enginetest.Engine, job uuid.UUID) { e.Edit(job, `{"expectSuccessWithinSeconds":60}`) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := enginetest.New(t)
			hear(e)
			job := e.Create(onDemand + `,"name":"nightly"` + expects + `}`).Job.ID
			prepare(e, job)
			require.Positive(t, tellOverdue(e), "not yet")
			require.Empty(t, told(e))
			expire(e)
			var telling sync.WaitGroup
			for range 4 { // instances
				telling.Go(func() { tellOverdue(e) })
			}
			telling.Wait()
			all := told(e)
			require.Len(t, all, 1)
			require.Contains(t, all[0], "job.overdue nightly")
			require.NotNil(t, e.Job(job).OverdueSince)
			succeed(e, job)
			require.Equal(t, []string{"job.recovered nightly 0"}, told(e))
			require.Nil(t, e.Job(job).OverdueSince)
			expire(e)
			tellOverdue(e)
			require.Len(t, told(e), 1, "the next time is told, too")
		})
	}
}

func TestNothingIsExpectedOfSomeJobs(t *testing.T) {
	t.Parallel()
	const job = `,"name":"x","expectSuccessWithinSeconds":60`
	for name, end := range map[string]func(e *enginetest.Engine){
		"deleted": func(e *enginetest.Engine) { e.Delete(e.Create(onDemand + job + `}`).Job.ID) },
		"no longer": func(e *enginetest.Engine) {
			e.Edit(e.Create(onDemand+job+`}`).Job.ID, `{"expectSuccessWithinSeconds":null}`)
		},
		"completed":       func(e *enginetest.Engine) { succeed(e, e.Create(onDemand+job+`,"maxRuns":1}`).Job.ID) },
		"never was asked": func(e *enginetest.Engine) { e.Create(onDemand + `,"name":"x"}`) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := enginetest.New(t)
			hear(e)
			end(e)
			expire(e)
			require.Positive(t, tellOverdue(e))
			require.Empty(t, told(e))
		})
	}
}

// A job whose history has failures only is known to succeed all the same, and so is one that is
// made together with others.
func TestSuccessesThatAreNotKept(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	hear(e)
	job := e.Create(onDemand + `,"name":"x","runHistory":"FAILURES","expectSuccessWithinSeconds":60}`).Job.ID
	expire(e)
	succeed(e, job)
	require.Positive(t, tellOverdue(e))
	require.Empty(t, told(e))
}
