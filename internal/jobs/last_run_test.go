package jobs_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/jobs"
	"punctual/internal/runid"
	"punctual/internal/runs"
	"punctual/internal/testdb/enginetest"
)

var errUnlucky = errors.New("no luck\nat all")

// stepper takes a job from run to run.
type stepper struct {
	*enginetest.Engine
	job uuid.UUID
}

// overdue creates a job of which nine occurrences are due, one by one. more is as of Engine.Due.
func overdue(t *testing.T, more string) stepper {
	t.Helper()
	e := enginetest.New(t)
	job := e.Create(`{"name":"j","intervalInSeconds":60,"misfirePolicy":"FIRE_ALL","maxAttempts":1` + more + `}`).Job.ID
	e.Age(job, 10*time.Minute)
	return stepper{e, job}
}

// run executes the only run that is due, and returns its id.
func (s stepper) run(failure error) uuid.UUID {
	s.T.Helper()
	attempt := s.Begin()
	s.End(attempt, failure)
	return attempt.RunID()
}

// manual starts a run by hand, executes it, and returns its id.
func (s stepper) manual(failure error) uuid.UUID {
	s.T.Helper()
	id := enginetest.IDOf(s.Start(s.job, ""))
	require.Equal(s.T, id, s.run(failure))
	return id
}

// manualAlone is manual for a job of which more is due.
func (s stepper) manualAlone(failure error) uuid.UUID {
	s.T.Helper()
	s.Exec(`update due set scheduled_for = now() + interval '1 minute', ready_at = now() + interval '1 minute' where carries_schedule`)
	return s.manual(failure)
}

// miss makes the occurrences that are due be missed, except the latest, and returns the id of the
// run that stands for them.
func (s stepper) miss() uuid.UUID {
	s.T.Helper()
	s.Exec(`update jobs set misfire_policy = 'SKIP'`)
	rows := s.ClaimUnder(s.NewLease(), 0)
	require.Len(s.T, rows, 1)
	_, ended := s.Store().Open(s.T.Context(), rows[0].ReadAt, rows)[0].Prepare(rows[0].ReadAt)
	require.Empty(s.T, s.Store().Save(s.T.Context(), []*runs.Ended{ended}))
	return ended.RunID()
}

// is requires how the job's last run ended, how many failed in a row, and how the job is.
func (s stepper) is(last uuid.UUID, status db.RunStatus, failures int32, health jobs.Health) {
	s.T.Helper()
	view := s.Job(s.job)
	require.NotNil(s.T, view.LastRun, "it has run")
	require.Equal(s.T, last, runid.New(s.job, view.LastRun.ScheduledFor), "the last run")
	require.Equal(s.T, status, view.LastRun.Status)
	require.Equal(s.T, failures, view.ConsecutiveFailures)
	require.Equal(s.T, health, view.Health)
}

const (
	hasSucceeded = db.RunStatusSUCCEEDED
	hasFailed    = db.RunStatusFAILED
	wasCanceled  = db.RunStatusCANCELED
	wasSkipped   = db.RunStatusSKIPPED
)

func TestLastRunOfTheSchedule(t *testing.T) {
	t.Parallel()
	s := overdue(t, "")
	view := s.Job(s.job)
	require.Nil(t, view.LastRun)
	require.Equal(t, jobs.HealthLate, view.Health, "nobody has executed what was due minutes ago")

	s.is(s.run(nil), hasSucceeded, 0, jobs.HealthLate)
	s.is(s.run(errUnlucky), hasFailed, 1, jobs.HealthFailing)
	last := s.run(errUnlucky)
	s.is(last, hasFailed, 2, jobs.HealthFailing)
	end := s.Job(s.job).LastRun
	require.Equal(t, "no luck", *end.Error, "the first line")
	require.Equal(t, *s.Run(last).FinishedAt, *end.FinishedAt)
	require.Nil(t, end.Reason)

	attempt := s.Begin()
	s.is(last, hasFailed, 2, jobs.HealthFailing)
	require.True(t, s.Job(s.job).IsRunning)
	s.End(attempt, runs.Canceled{Reason: db.RunReasonREQUESTED})
	s.is(attempt.RunID(), wasCanceled, 2, jobs.HealthFailing)
	require.Equal(t, db.RunReasonREQUESTED, *s.Job(s.job).LastRun.Reason)
	require.False(t, s.Job(s.job).IsRunning)

	s.is(s.run(nil), hasSucceeded, 0, jobs.HealthLate)
	s.run(errUnlucky)
	s.Exec(`update jobs set misfire_policy = 'SKIP'`)
	s.is(s.miss(), wasSkipped, 1, jobs.HealthFailing)
	s.is(s.run(nil), hasSucceeded, 0, jobs.HealthOK)
	s.is(s.manual(nil), hasSucceeded, 0, jobs.HealthOK)
	s.is(s.manual(errUnlucky), hasFailed, 1, jobs.HealthFailing)
}

func TestLastRunOfAPausedJob(t *testing.T) {
	t.Parallel()
	s := overdue(t, "")
	s.run(errUnlucky)
	last := s.run(errUnlucky)
	s.Edit(s.job, `{"status":"PAUSED"}`)
	s.is(last, hasFailed, 2, jobs.HealthPaused)
	s.is(s.manual(errUnlucky), hasFailed, 3, jobs.HealthPaused)
	s.is(s.manual(nil), hasSucceeded, 0, jobs.HealthPaused)
	last = s.manual(errUnlucky)
	s.is(last, hasFailed, 1, jobs.HealthPaused)
	s.Edit(s.job, `{"status":"ACTIVE"}`)
	s.is(last, hasFailed, 0, jobs.HealthOK)
	s.is(s.manual(errUnlucky), hasFailed, 1, jobs.HealthFailing)

	inFlight := enginetest.IDOf(s.Start(s.job, ""))
	attempt := s.Begin()
	require.Equal(t, inFlight, attempt.RunID())
	s.Edit(s.job, `{"status":"PAUSED"}`)
	s.End(attempt, errUnlucky)
	s.is(inFlight, hasFailed, 2, jobs.HealthPaused)
}

func TestLastRunAfterAnEditOfTheSchedule(t *testing.T) {
	t.Parallel()
	s := overdue(t, "")
	last := s.run(errUnlucky)
	s.Edit(s.job, `{"cron":"0 3 1 1 *"}`)
	s.is(last, hasFailed, 1, jobs.HealthFailing)
	s.is(s.manual(errUnlucky), hasFailed, 2, jobs.HealthFailing)

	s.Start(s.job, "")
	attempt := s.Begin()
	s.Edit(s.job, `{"intervalInSeconds":3600}`)
	s.End(attempt, errUnlucky)
	s.is(attempt.RunID(), hasFailed, 3, jobs.HealthFailing)
	s.is(s.manual(nil), hasSucceeded, 0, jobs.HealthOK)
}

func TestLastRunOfACompletedJob(t *testing.T) {
	t.Parallel()
	t.Run("by its last run", func(t *testing.T) {
		t.Parallel()
		s := overdue(t, `,"maxRuns":2`)
		s.run(errUnlucky)
		last := s.run(errUnlucky)
		s.is(last, hasFailed, 2, jobs.HealthFailing)
		require.Equal(t, db.JobStatusCOMPLETED, s.Job(s.job).Job.Status)
		retry, err := s.Jobs.Retry(t.Context(), enginetest.By, last, nil)
		require.NoError(t, err)
		require.Equal(t, enginetest.IDOf(retry), s.run(errUnlucky))
		s.is(enginetest.IDOf(retry), hasFailed, 3, jobs.HealthFailing)
		retry, err = s.Jobs.Retry(t.Context(), enginetest.By, last, nil)
		require.NoError(t, err)
		require.Equal(t, enginetest.IDOf(retry), s.run(nil))
		s.is(enginetest.IDOf(retry), hasSucceeded, 0, jobs.HealthCompleted)
	})
	t.Run("by a run off the schedule", func(t *testing.T) {
		t.Parallel()
		s := overdue(t, `,"maxRuns":2`)
		last := s.run(errUnlucky)
		s.Exec(`update due set run_count = 2`)
		done, err := s.Jobs.CompleteUsedUp(t.Context(), access.System(access.DefaultNamespace), s.job)
		require.NoError(t, err)
		require.True(t, done)
		s.is(last, hasFailed, 1, jobs.HealthFailing)
	})
	t.Run("which is deleted", func(t *testing.T) {
		t.Parallel()
		s := overdue(t, `,"maxRuns":1,"deleteAfterCompletion":true`)
		s.run(errUnlucky)
		require.Equal(t, 1, s.Count(`select count(*) from jobs where deleted_at is not null and last_run_status = 'FAILED' and failures = 1`))
		require.Nil(t, s.Runs(s.job)[0].JobKey)
		require.NotNil(t, s.Runs(s.job)[0].JobDeletedAt)
	})
}

// Occurrences that are backfilled are older than the last run, and say nothing of how the job is.
func TestBackfillIsNotTheLastRun(t *testing.T) {
	t.Parallel()
	s := overdue(t, `,"startAt":"2020-01-01T00:00:00Z"`)
	s.run(errUnlucky)
	s.Exec(`update due set scheduled_for = now() + interval '1 minute', ready_at = now() + interval '1 minute'`)
	last := s.manual(errUnlucky)
	now := s.Now()
	done, err := s.Jobs.Backfill(t.Context(), enginetest.By, s.job, now.Add(-3*time.Minute), now)
	require.NoError(t, err)
	require.Positive(t, done.Runs)
	for _, row := range s.ClaimUnder(s.NewLease(), 0) {
		attempt := runs.Resume(&row, row.ReadAt, 1)
		s.End(attempt, errUnlucky)
		require.Equal(t, "FAILED", s.Run(attempt.RunID()).Status)
	}
	s.is(last, hasFailed, 2, jobs.HealthFailing)

	last = s.manual(nil)
	_, err = s.Jobs.Backfill(t.Context(), enginetest.By, s.job, now.Add(-8*time.Minute), now.Add(-3*time.Minute))
	require.NoError(t, err)
	for _, row := range s.ClaimUnder(s.NewLease(), 0) {
		s.End(runs.Resume(&row, row.ReadAt, 1), errUnlucky)
	}
	s.is(last, hasSucceeded, 0, jobs.HealthOK)
}

// A run that is not kept is the last run all the same.
func TestLastRunThatIsNotKept(t *testing.T) {
	t.Parallel()
	s := overdue(t, `,"runHistory":"FAILURES"`)
	s.is(s.run(nil), hasSucceeded, 0, jobs.HealthLate)
	require.Nil(t, s.Job(s.job).LastRun.FinishedAt)
	s.is(s.run(errUnlucky), hasFailed, 1, jobs.HealthFailing)
	require.NotNil(t, s.Job(s.job).LastRun.FinishedAt)
	list, err := s.Jobs.List(t.Context(), enginetest.By, jobs.List{Max: 10})
	require.NoError(t, err)
	require.Equal(t, "no luck", *list.Jobs[0].LastRun.Error, "a list says the same")
}
