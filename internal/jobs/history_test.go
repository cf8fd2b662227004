package jobs_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/testdb/enginetest"
)

// A version that is older than a column has the value that existing jobs got for it, whatever a
// request has made of that since then.
func TestVersionThatIsOlderThanAColumn(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	job := e.Create(`{"name":"x","intervalInSeconds":60}`).Job
	e.Edit(job.ID, `{"name":"y"}`)
	e.Exec(`update job_versions set definition = (definition::jsonb - 'max_attempts' - 'pause_after_failures' - 'suspended')::json`)
	e.Edit(job.ID, `{"name":"z","maxAttempts":9,"pauseAfterFailures":7}`)
	all := versions(e, job.ID)
	require.Len(t, all, 3)
	require.EqualValues(t, 9, all[0].Job.MaxAttempts)
	for _, version := range all[1:] {
		require.Equal(t, job.MaxAttempts, version.Job.MaxAttempts)
		require.Nil(t, version.Job.PauseAfterFailures)
	}
	require.Equal(t, "x", all[2].Job.Name)
	require.Equal(t, "null", string(all[2].Job.Payload))
	alone, err := e.Jobs.Version(t.Context(), enginetest.By, job.ID, 1)
	require.NoError(t, err)
	require.Equal(t, job.MaxAttempts, alone.Job.MaxAttempts)
}

// An instant of a time when zones had offsets with seconds is read again, whatever the zone of the
// database is.
func TestVersionWithAnInstantOfLongAgo(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	e.Exec(`do $$ begin execute format('alter database %I set timezone = ''Europe/Berlin''', current_database()); end $$`)
	e.Pool.Reset() // what follows has new connections
	job := e.Create(`{"name":"x","intervalInSeconds":60,"startAt":"1800-01-01T00:00:00Z"}`).Job
	e.Edit(job.ID, `{"startAt":null}`)
	all := versions(e, job.ID)
	require.Len(t, all, 2)
	require.NotNil(t, all[1].Job.StartAt)
	require.True(t, job.StartAt.Equal(*all[1].Job.StartAt))
}

// A change that commits while a completion deletes the job keeps no version of it.
func TestVersionOfAJobThatIsDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	job := e.Due(`,"maxRuns":1,"deleteAfterCompletion":true`).Job.ID
	attempt := e.Begin()

	// The edit waits before its end, so that it has the lock of the job when the completion comes.
	e.Exec(`create function wait() returns trigger language plpgsql as $$
		begin perform pg_advisory_xact_lock(1); return new; end $$`)
	e.Exec(`create trigger wait before insert on audit for each row when (new.operation = 'updateJob') execute function wait()`)
	blocker, err := e.Pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = blocker.Exec(t.Context(), `select pg_advisory_xact_lock(1)`)
	require.NoError(t, err)
	private := change(t, `{"payload":"private"}`)
	edited, ended := make(chan error, 1), make(chan struct{})
	go func() {
		_, err := e.Jobs.Update(t.Context(), enginetest.By, job, private)
		edited <- err
	}()
	waitForBlocked(e, 1)
	go func() {
		defer close(ended)
		e.End(attempt, nil)
	}()
	waitForBlocked(e, 2)
	require.NoError(t, blocker.Commit(t.Context()))
	require.NoError(t, <-edited)
	<-ended
	require.Equal(t, 1, e.Count(`select count(*) from jobs where deleted_at is not null and version = 2`))
	require.Zero(t, e.Count(`select count(*) from job_versions`))
}

// waitForBlocked returns when so many sessions of the database wait for a lock.
func waitForBlocked(e *enginetest.Engine, sessions int) {
	e.T.Helper()
	require.Eventually(e.T, func() bool {
		return e.Count(`select count(*) from pg_stat_activity
			where datname = current_database() and wait_event_type = 'Lock'`) == sessions
	}, 10*time.Second, 5*time.Millisecond, "they wait")
}

// What a request asks for that is so already is not audited.
func TestNothingIsAuditedThatChangesNothing(t *testing.T) {
	t.Parallel()
	t.Run("a run that is canceled already", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Due(``).Job.ID
		e.Begin()
		run := enginetest.IDOf(e.Runs(job)[0])
		e.Cancel(run)
		require.Len(t, auditedSince(e, 1), 1)
		require.Equal(t, "RUNNING", e.Cancel(run).Status)
		require.Len(t, auditedSince(e, 1), 1)
	})
	t.Run("a window in which all have run", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Create(`{"name":"x","intervalInSeconds":60}`).Job.ID
		now := e.Now()
		done, err := e.Jobs.Backfill(t.Context(), enginetest.By, job, now, now)
		require.NoError(t, err)
		require.Zero(t, done.Runs)
		require.Empty(t, auditedSince(e, 1))
	})
}

// The audit says that a job was completed, and deleted, because nothing was left when it was
// resumed.
func TestAuditOfAJobThatIsResumedTooLate(t *testing.T) {
	t.Parallel()
	for name, deleted := range map[string]bool{"and stays": false, "and is deleted": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := enginetest.New(t)
			more := ``
			if deleted {
				more = `,"deleteAfterCompletion":true`
			}
			job := e.Create(`{"name":"x","intervalInSeconds":60` + more + `}`).Job.ID
			resumeTooLate(e, job)
			require.Equal(t, 1, e.Count(`select count(*) from jobs where status = $1 or deleted_at is not null`, db.JobStatusCOMPLETED))
			all := auditedSince(e, 2)
			require.Len(t, all, 2)
			require.Equal(t, "updateJob", all[0].Operation)
			require.Equal(t, "completeJob", all[1].Operation)
			require.Equal(t, "system", all[1].Actor)
			require.Equal(t, map[string]any{"deleted": deleted}, all[1].Result)
		})
	}
}
