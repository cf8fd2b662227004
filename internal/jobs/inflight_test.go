package jobs_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/history"
	"punctual/internal/jobs"
	"punctual/internal/testdb/enginetest"
)

// A change of a job leaves the run in flight alone: the run ends and is recorded, and the change
// decides what comes next.
func TestRunInFlight(t *testing.T) {
	t.Parallel()
	t.Run("is seen", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Due(``).Job.ID
		row := e.ClaimOne()

		require.WithinDuration(t, row.Claimed.ScheduledFor.Add(time.Minute), *e.Job(job).NextRunAt, 0, "the next run")
		runs := e.Runs(job)
		require.Len(t, runs, 1)
		require.Equal(t, "RUNNING", runs[0].Status)
		require.Nil(t, runs[0].FinishedAt)
		id := enginetest.IDOf(runs[0])
		require.Equal(t, runs[0], e.Run(id))
		only, next, err := e.Jobs.FindRunsOf(
			t.Context(), access.Caller{Namespace: "default"}, job, jobs.RunFilter{Statuses: []string{"RUNNING"}}, history.Place{At: e.Now().Add(time.Hour)}, 10,
		)
		require.NoError(t, err)
		require.Nil(t, next)
		require.Equal(t, runs, only)

		e.Succeed(row)
		require.Equal(t, "SUCCEEDED", e.Run(id).Status, "the same run")
	})
	t.Run("is seen by who began to read before it was claimed", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Due(``).Job.ID
		tx, err := e.Pool.Begin(t.Context()) // which decides what now() is
		require.NoError(t, err)
		defer func() { require.NoError(t, tx.Rollback(t.Context())) }()
		e.ClaimOne()
		var status string
		require.NoError(t, tx.QueryRow(t.Context(), "select status from open_runs where job_id = $1", job).Scan(&status))
		require.Equal(t, "RUNNING", status)
	})
	t.Run("ends though its job is paused", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Due(``).Job.ID
		row := e.ClaimOne()
		e.Edit(job, `{"status":"PAUSED"}`)
		e.Succeed(row)
		require.Zero(t, e.Count("select count(*) from due"), "nothing is due any more")
		require.Len(t, e.Runs(job), 1)
		require.WithinDuration(t, row.Claimed.StartedAt, *e.Job(job).LastRunAt, 0)
	})
	t.Run("ends after its job is resumed", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Due(``).Job.ID
		row := e.ClaimOne()
		e.Edit(job, `{"status":"PAUSED"}`)
		resumed := e.Edit(job, `{"status":"ACTIVE"}`)
		require.WithinDuration(t, row.Claimed.ScheduledFor.Add(time.Minute), *resumed.NextRunAt, 0)
		require.Equal(t, 1, e.Count("select count(*) from due"), "the run in flight, which the next must not overlap")

		e.Succeed(row)
		require.Equal(t, 1, e.Count("select count(*) from due where carries_schedule"))
		after := e.Job(job)
		require.WithinDuration(t, *resumed.NextRunAt, *after.NextRunAt, 0, "its end does not move the schedule")
		require.EqualValues(t, 1, after.RunCount, "it is counted once")
	})
	t.Run("ends after its job has another interval", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Due(``).Job.ID
		row := e.ClaimOne()
		changed := e.Edit(job, `{"intervalInSeconds":3600}`)
		require.WithinDuration(t, row.Claimed.ScheduledFor.Add(time.Hour), *changed.NextRunAt, 0)
		e.Succeed(row)
		after := e.Job(job)
		require.WithinDuration(t, *changed.NextRunAt, *after.NextRunAt, 0, "the new interval stands")
		require.WithinDuration(t, row.Claimed.StartedAt, *after.LastRunAt, 0)
	})
	t.Run("ends though its job is deleted", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Due(``).Job.ID
		row := e.ClaimOne()
		id := enginetest.IDOf(e.Runs(job)[0])
		e.Delete(job)
		require.Equal(t, "RUNNING", e.Run(id).Status)
		e.Succeed(row)
		require.Equal(t, "SUCCEEDED", e.Run(id).Status)
		require.Zero(t, e.Count("select count(*) from due"))
	})
	t.Run("ends though its job is deleted and its instance has died", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Due(``).Job.ID
		e.ClaimOne()
		id := enginetest.IDOf(e.Runs(job)[0])
		e.Delete(job)
		e.Exec("delete from leases")
		_, err := e.FreeAbandoned(t.Context())
		require.NoError(t, err)

		e.Execute(1)
		ended := e.Run(id)
		require.Equal(t, "FAILED", ended.Status)
		require.Equal(t, db.RunReasonJOBDELETED, *ended.Reason)
		require.EqualValues(t, 1, ended.Attempt)
		require.Zero(t, e.Count("select count(*) from due"))
	})
	t.Run("keeps what waits for it from beginning, also if their job is deleted", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Due(``).Job.ID
		first := e.Begin()
		waits := e.Start(job, db.OverlapPolicyBUFFERONE)
		e.Delete(job)
		require.Equal(t, db.RunReasonJOBDELETED, *e.Run(enginetest.IDOf(waits)).Reason)
		e.End(first, errNoLuck)
		require.Equal(t, "RUNNING", e.Run(first.RunID()).Status, "another attempt is left")
	})
}

// A change does not reach a run that was claimed a moment ahead of its instant. The run is executed
// as it was claimed, and the change counts from the next occurrence on.
func TestRunClaimedAhead(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(t *testing.T, e *enginetest.Engine, job uuid.UUID){
		"pause": func(t *testing.T, e *enginetest.Engine, job uuid.UUID) {
			t.Helper()
			require.Nil(t, e.Edit(job, `{"status":"PAUSED"}`).NextRunAt)
		},
		"edit": func(t *testing.T, e *enginetest.Engine, job uuid.UUID) {
			t.Helper()
			e.Edit(job, `{"payload":{"new":true},"intervalInSeconds":3600}`)
		},
		"delete": func(t *testing.T, e *enginetest.Engine, job uuid.UUID) {
			t.Helper()
			e.Delete(job)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := enginetest.New(t)
			job := e.Create(`{"name":"claimed-ahead","intervalInSeconds":60,"payload":{"old":true}}`).Job.ID
			e.Age(job, 55*time.Second)
			row := e.ClaimOne()
			require.True(t, row.Claimed.ReadyAt.After(row.ReadAt), "it is not due yet")
			require.Empty(t, e.Runs(job), "so it is not running")
			require.WithinDuration(t, row.Claimed.ScheduledFor, *e.Job(job).NextRunAt, 0, "but next")

			change(t, e, job)
			require.JSONEq(t, `{"old":true}`, string(row.Job.Payload), "it is executed as it was claimed")
			row.ReadAt = row.Claimed.StartedAt // its end
			e.Succeed(row)
			require.Equal(t, 1, e.Count("select count(*) from runs where status = 'SUCCEEDED'"))
			require.Zero(t, e.Count("select count(*) from due where lease_id is not null"))
		})
	}
}
