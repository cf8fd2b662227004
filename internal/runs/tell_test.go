package runs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"punctual/internal/testdb/enginetest"
)

// Telling costs nothing where nobody wants to know: the completion is the transaction that it is
// without events. Which jobs events start, an instance reads every few seconds.
func TestTell_statements(t *testing.T) {
	t.Parallel()
	e, sent := enginetest.NewTraced(t)
	watched := e.Create(`{"name":"watched","onDemand":true,"maxAttempts":1}`).Job.ID
	save := func(failure error) string {
		e.Start(watched, "")
		all := e.EndAll(e.ClaimUnder(e.NewLease(), 0), failure)
		sent.Take()
		require.Empty(t, e.Store().Save(t.Context(), all))
		return strings.Join(sent.Take(), " ")
	}
	const completion = "begin set Complete RecordRuns commit"
	e.Events.Forget()
	require.Equal(t, "ListStartsOn "+completion, save(nil))
	require.Equal(t, completion, save(nil))
	require.Equal(t, completion, save(errNoLuck))

	e.Create(`{"name":"alert","startsOn":{"events":["run.failed"],"jobs":{"keys":["another"]}}}`)
	require.Equal(t, "ListStartsOn "+completion, save(nil))
	require.Equal(t, completion, save(errNoLuck), "another job is watched")

	e.Create(`{"name":"alert","startsOn":{"events":["run.failed"]}}`)
	require.Equal(t, "ListStartsOn "+completion, save(nil))
	require.Equal(t, completion, save(nil))
	require.Equal(t, "begin set Complete RecordRuns AddEventStarts commit", save(errNoLuck))
}

// typesTold returns the types of events that start a job, as they happened.
func typesTold(e *enginetest.Engine, job uuid.UUID) []string {
	e.T.Helper()
	rows, err := e.Pool.Query(e.T.Context(),
		`select event ->> 'type' || coalesce(' ' || (event -> 'data' ->> 'occurrences'), '') from event_starts where job_id = $1 order by happened_at`, job)
	require.NoError(e.T, err)
	types, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(e.T, err)
	e.Exec(`delete from event_starts`)
	return types
}

func TestTell(t *testing.T) {
	t.Parallel()
	const all = `"run.succeeded","run.failed","run.skipped","run.late","job.paused","job.completed"`
	setup := func(t *testing.T) (*enginetest.Engine, uuid.UUID) {
		t.Helper()
		e := enginetest.New(t)
		return e, e.Create(`{"name":"alert","startsOn":{"events":[` + all + `]}}`).Job.ID
	}
	t.Run("of the end of a run, and not of an attempt that is tried again", func(t *testing.T) {
		t.Parallel()
		e, alert := setup(t)
		e.Due(`,"maxAttempts":2,"minBackoffSeconds":0,"maxBackoffSeconds":0`)
		e.End(e.Begin(), errNoLuck)
		require.Empty(t, typesTold(e, alert))
		e.End(e.Begin(), errNoLuck)
		require.Equal(t, []string{"run.failed 1"}, typesTold(e, alert))
	})
	t.Run("of a job that a run completes or pauses", func(t *testing.T) {
		t.Parallel()
		e, alert := setup(t)
		e.Due(`,"maxRuns":1`)
		e.End(e.Begin(), nil)
		require.Equal(t, []string{"run.succeeded 1", "job.completed"}, typesTold(e, alert))
		e.Due(`,"maxAttempts":1,"pauseAfterFailures":1`)
		e.End(e.Begin(), errNoLuck)
		require.Equal(t, []string{"run.failed 1", "job.paused"}, typesTold(e, alert))
	})
	t.Run("of a run that started late", func(t *testing.T) {
		t.Parallel()
		e, alert := setup(t)
		job := e.Due(`,"lateAfterSeconds":5`).Job.ID
		e.End(e.Begin(), nil)
		require.Equal(t, []string{"run.succeeded 1"}, typesTold(e, alert))
		e.Age(job, 66*time.Second)
		e.End(e.Begin(), nil)
		require.Equal(t, []string{"run.succeeded 1", "run.late 1"}, typesTold(e, alert))
	})
	t.Run("of occurrences that were skipped during a run", func(t *testing.T) {
		t.Parallel()
		e, alert := setup(t)
		e.Due(``)
		attempt := e.Begin()
		e.Exec(`with j as (update jobs set anchor_at = anchor_at - interval '9 minutes')
			update due set scheduled_for = scheduled_for - interval '9 minutes', ready_at = ready_at - interval '9 minutes',
				started_at = started_at - interval '9 minutes'`)
		attempt.Due.ScheduledFor = attempt.Due.ScheduledFor.Add(-9 * time.Minute)
		attempt.Due.StartedAt = attempt.Due.StartedAt.Add(-9 * time.Minute)
		attempt.Begin(attempt.Due.StartedAt)
		e.End(attempt, nil)
		told := typesTold(e, alert)
		require.Len(t, told, 2)
		require.Equal(t, "run.succeeded 1", told[0])
		require.Equal(t, 1, e.Count(`select count(*) from runs where status = 'SKIPPED' and 'run.skipped ' || occurrences = $1`, told[1]))
	})
	t.Run("of a job that somebody pauses, with what was missed", func(t *testing.T) {
		t.Parallel()
		e, alert := setup(t)
		job := e.Due(``).Job.ID
		e.Edit(job, `{"status":"PAUSED"}`)
		require.Equal(t, []string{"run.skipped 1", "job.paused"}, typesTold(e, alert))
		e.Edit(job, `{"name":"renamed"}`)
		require.Empty(t, typesTold(e, alert))
	})
	t.Run("of nothing that a change had done and was undone", func(t *testing.T) {
		t.Parallel()
		e, alert := setup(t)
		job := e.Due(``).Job.ID
		e.Exec(`create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$`)
		e.Exec(`create trigger refuse before insert on audit for each row execute function refuse()`)
		_, err := e.TryEdit(job, `{"status":"PAUSED"}`)
		require.Error(t, err)
		require.Empty(t, typesTold(e, alert))
	})
}
