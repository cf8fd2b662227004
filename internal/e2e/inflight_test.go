package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/gen/db"
	"punctual/internal/runs"
)

// What an edit does to a run that is executing: nothing. The run ends and is recorded; the edit decides what comes next.

// claimOne makes a job's occurrence a run in flight, of an instance that exists only in the test.
func claimOne(t *testing.T, pool *pgxpool.Pool, job uuid.UUID) db.ClaimRow {
	t.Helper()
	q := db.New(pool)
	holder := uuid.Must(uuid.NewV7())
	require.NoError(t, q.CreateLease(t.Context(), db.CreateLeaseParams{ID: holder, Holder: "test", Duration: time.Minute}))
	rows, err := q.Claim(t.Context(), db.ClaimParams{Token: runs.NewToken(), LeaseID: holder, MaxRows: 10, Ahead: 10 * time.Second})
	require.NoError(t, err)
	require.Len(t, rows, 1)
	require.Equal(t, job, rows[0].Claimed.JobID)
	return rows[0]
}

// complete ends a run in flight with success, as its instance would, and returns whether that was stored.
func complete(t *testing.T, pool *pgxpool.Pool, row db.ClaimRow) bool {
	t.Helper()
	ended := runs.Resume(&row, row.Claimed.StartedAt).End(row.ReadAt, nil, nil)
	saved := storeOf(pool).Save(t.Context(), []*runs.Ended{ended})
	require.NoError(t, saved.Err)
	require.Empty(t, saved.Refused)
	return len(saved.Lost) == 0
}

func TestRunInFlightIsSeen(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.createJob(t, "in-flight", 60, `null`)
	age(t, pool, job.Id, time.Minute)
	row := claimOne(t, pool, job.Id)

	require.Equal(t, row.Claimed.ScheduledFor.Add(time.Minute).UTC(), *service.getJob(t, job.Id).NextRunAt, "what comes after it")
	runs := service.listRuns(t, job.Id)
	require.Len(t, runs, 1)
	require.Equal(t, client.RunStatusRUNNING, runs[0].Status)
	require.Nil(t, runs[0].FinishedAt)
	got, err := service.GetRunWithResponse(t.Context(), runs[0].Id)
	require.NoError(t, err)
	require.Equal(t, runs[0], *got.JSON200)
	only, err := service.ListJobRunsWithResponse(t.Context(), job.Id, &client.ListJobRunsParams{Status: new(client.RunStatusRUNNING)})
	require.NoError(t, err)
	require.Equal(t, runs, only.JSON200.Items)

	require.True(t, complete(t, pool, row))
	ended, err := service.GetRunWithResponse(t.Context(), runs[0].Id)
	require.NoError(t, err)
	require.Equal(t, client.RunStatusSUCCEEDED, ended.JSON200.Status, "the same run")
}

func TestPausingLetsTheRunInFlightEnd(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.createJob(t, "paused-in-flight", 60, `null`)
	age(t, pool, job.Id, time.Minute)
	row := claimOne(t, pool, job.Id)

	service.updateJob(t, job.Id, client.JobUpdate{Status: new(client.JobUpdateStatusPAUSED)})
	require.True(t, complete(t, pool, row))
	require.Zero(t, count(t, pool, "select count(*) from due"), "nothing is due any more")
	require.Len(t, service.listRuns(t, job.Id), 1)
	require.Equal(t, row.Claimed.StartedAt.UTC(), service.getJob(t, job.Id).LastRunAt.UTC())
}

func TestResumingWhileTheRunIsInFlight(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.createJob(t, "resumed-in-flight", 60, `null`)
	age(t, pool, job.Id, time.Minute)
	row := claimOne(t, pool, job.Id)

	service.updateJob(t, job.Id, client.JobUpdate{Status: new(client.JobUpdateStatusPAUSED)})
	resumed := service.updateJob(t, job.Id, client.JobUpdate{Status: new(client.JobUpdateStatusACTIVE)})
	require.Equal(t, row.Claimed.ScheduledFor.Add(time.Minute).UTC(), *resumed.NextRunAt)
	require.Equal(t, 1, count(t, pool, "select count(*) from due"), "the run in flight, which what comes next must not overlap")

	require.True(t, complete(t, pool, row))
	require.Equal(t, 1, count(t, pool, "select count(*) from due where carries_schedule"))
	after := service.getJob(t, job.Id)
	require.Equal(t, resumed.NextRunAt, after.NextRunAt, "its end does not move the schedule")
	require.EqualValues(t, 1, after.RunCount, "it is counted once")
}

func TestNewIntervalWhileTheRunIsInFlight(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.createJob(t, "edited-in-flight", 60, `null`)
	age(t, pool, job.Id, time.Minute)
	row := claimOne(t, pool, job.Id)

	changed := service.updateJob(t, job.Id, client.JobUpdate{IntervalInSeconds: new(int64(3600))})
	require.Equal(t, row.Claimed.ScheduledFor.Add(time.Hour).UTC(), *changed.NextRunAt)
	require.True(t, complete(t, pool, row))
	after := service.getJob(t, job.Id)
	require.Equal(t, changed.NextRunAt, after.NextRunAt, "the new interval stands")
	require.Equal(t, row.Claimed.StartedAt.UTC(), after.LastRunAt.UTC())
}

func TestDeletingLetsTheRunInFlightEnd(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.createJob(t, "deleted-in-flight", 60, `null`)
	age(t, pool, job.Id, time.Minute)
	row := claimOne(t, pool, job.Id)
	run := service.listRuns(t, job.Id)[0]

	deleted, err := service.DeleteJobWithResponse(t.Context(), job.Id)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, deleted.StatusCode())
	running, err := service.GetRunWithResponse(t.Context(), run.Id)
	require.NoError(t, err)
	require.Equal(t, client.RunStatusRUNNING, running.JSON200.Status)
	require.True(t, complete(t, pool, row))
	ended, err := service.GetRunWithResponse(t.Context(), run.Id)
	require.NoError(t, err)
	require.Equal(t, client.RunStatusSUCCEEDED, ended.JSON200.Status)
	require.Zero(t, count(t, pool, "select count(*) from due"))
}

// The instance that executed a run died, and the job was deleted: the run still ends.
func TestAbandonedRunOfADeletedJobEnds(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.createJob(t, "deleted-and-abandoned", 60, `null`)
	age(t, pool, job.Id, time.Minute)
	claimOne(t, pool, job.Id)
	run := service.listRuns(t, job.Id)[0]
	_, err := service.DeleteJobWithResponse(t.Context(), job.Id)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), "delete from leases")
	require.NoError(t, err)
	_, err = db.New(pool).FreeAbandoned(t.Context())
	require.NoError(t, err)

	require.Equal(t, 1, service.pass(t))
	ended, err := service.GetRunWithResponse(t.Context(), run.Id)
	require.NoError(t, err)
	require.Equal(t, client.RunStatusFAILED, ended.JSON200.Status)
	require.Equal(t, client.RunReasonJOBDELETED, *ended.JSON200.Reason)
	require.EqualValues(t, 1, ended.JSON200.Attempt)
	require.Zero(t, count(t, pool, "select count(*) from due"))
}

// What is claimed a moment ahead of its instant is out of reach: it runs as it was claimed, and the change counts from the
// next occurrence on.
func TestChangesDoNotReachWhatIsClaimedAhead(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(t *testing.T, service instance, job uuid.UUID){
		"pause": func(t *testing.T, service instance, job uuid.UUID) {
			t.Helper()
			require.Nil(t, service.patch(t, job, `{"status":"PAUSED"}`).JSON200.NextRunAt)
		},
		"edit": func(t *testing.T, service instance, job uuid.UUID) {
			t.Helper()
			service.patch(t, job, `{"payload":{"new":true},"intervalInSeconds":3600}`)
		},
		"delete": func(t *testing.T, service instance, job uuid.UUID) {
			t.Helper()
			deleted, err := service.DeleteJobWithResponse(t.Context(), job)
			require.NoError(t, err)
			require.Equal(t, http.StatusNoContent, deleted.StatusCode())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service, pool := setup(t)
			job := service.createJob(t, "claimed-ahead", 60, `{"old":true}`)
			age(t, pool, job.Id, 55*time.Second)
			row := claimOne(t, pool, job.Id)
			require.True(t, row.Claimed.ReadyAt.After(row.ReadAt), "it is not due yet")
			require.Empty(t, service.listRuns(t, job.Id), "so it is not running")
			require.Equal(t, row.Claimed.ScheduledFor.UTC(), *service.getJob(t, job.Id).NextRunAt, "but next")

			change(t, service, job.Id)
			require.JSONEq(t, `{"old":true}`, string(row.Job.Payload), "it runs as it was claimed")
			row.ReadAt = row.Claimed.StartedAt // its end
			require.True(t, complete(t, pool, row), "and is recorded")
			require.Equal(t, 1, count(t, pool, "select count(*) from runs where status = 'SUCCEEDED'"))
			require.Zero(t, count(t, pool, "select count(*) from due where lease_id is not null"))
		})
	}
}
