package e2e

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

func TestPauseJob(t *testing.T) {
	t.Parallel()
	t.Run("stops the schedule until it resumes on its grid", func(t *testing.T) {
		t.Parallel()
		service, db := setup(t)
		job := service.createJob(t, "pausable", 60, `null`)

		paused := service.updateJob(t, job.Id, client.JobUpdate{Status: new(client.JobUpdateStatusPAUSED)})
		require.Equal(t, client.JobStatusPAUSED, paused.Status)
		require.Nil(t, paused.NextRunAt, "a paused job is not due")
		require.True(t, paused.UpdatedAt.After(job.UpdatedAt))
		require.Zero(t, count(t, db, "select count(*) from due"), "a poll never reads over a paused job")

		age(t, db, job.Id, 10*time.Minute+30*time.Second)
		require.Zero(t, service.pass(t), "a paused job does not fire")

		resumed := service.updateJob(t, job.Id, client.JobUpdate{Status: new(client.JobUpdateStatusACTIVE)})
		grid := service.getJob(t, job.Id).CreatedAt
		require.Equal(t, grid.Add(11*time.Minute), *resumed.NextRunAt, "the next instant of its own grid")
		require.Zero(t, service.pass(t), "what passed in between is not run")
		require.Empty(t, service.listRuns(t, job.Id))
	})
	t.Run("leaves a skipped run if the job is overdue", func(t *testing.T) {
		t.Parallel()
		service, db := setup(t)
		job := service.createJob(t, "overdue", 60, `null`)
		age(t, db, job.Id, 3*time.Minute+30*time.Second)
		due := *service.getJob(t, job.Id).NextRunAt

		service.updateJob(t, job.Id, client.JobUpdate{Status: new(client.JobUpdateStatusPAUSED)})

		runs := service.listRuns(t, job.Id)
		require.Len(t, runs, 1)
		require.Equal(t, client.RunStatusSKIPPED, runs[0].Status)
		require.Equal(t, client.RunReasonJOBPAUSED, *runs[0].Reason)
		require.Equal(t, due, runs[0].ScheduledFor)
		require.EqualValues(t, 3, runs[0].Occurrences, "it stands for all that were due")
		require.Nil(t, runs[0].StartedAt)
		require.Zero(t, service.pass(t))
	})
	t.Run("keeps the last run", func(t *testing.T) {
		t.Parallel()
		service, db := setup(t)
		job := service.createJob(t, "rests", 60, `null`)
		age(t, db, job.Id, time.Minute)
		require.Equal(t, 1, service.pass(t))
		last := *service.getJob(t, job.Id).LastRunAt

		paused := service.updateJob(t, job.Id, client.JobUpdate{Status: new(client.JobUpdateStatusPAUSED)})
		require.Equal(t, last, *paused.LastRunAt)
		resumed := service.updateJob(t, job.Id, client.JobUpdate{Status: new(client.JobUpdateStatusACTIVE)})
		require.Equal(t, last, *resumed.LastRunAt)
	})
	// A pause drops only the schedule. The run of a deleted job is skipped, and says so.
	t.Run("keeps a run that somebody has started", func(t *testing.T) {
		t.Parallel()
		for name, ask := range map[string]func(t *testing.T, service instance, job client.Job) client.Run{
			"in the schedule's place": func(t *testing.T, service instance, job client.Job) client.Run {
				t.Helper()
				service.cancelDue(t, job.Id)
				return service.startRun(t, job.Id, "")
			},
			"behind what is due": func(t *testing.T, service instance, job client.Job) client.Run {
				t.Helper()
				return service.startRun(t, job.Id, bufferOne)
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				service, pool := setup(t)
				job := service.due(t, pool, ``)
				run := ask(t, service, job)
				service.patch(t, job.Id, `{"status":"PAUSED"}`)
				require.Equal(t, client.RunStatusPENDING, service.readRun(t, run.Id).Status)
				service.executes(t, 1)
				require.Equal(t, client.RunStatusSUCCEEDED, service.readRun(t, run.Id).Status)
				require.EqualValues(t, 1, service.getJob(t, job.Id).RunCount)
				require.Zero(t, count(t, pool, `select count(*) from due`))
			})
			t.Run(name+", deleted", func(t *testing.T) {
				t.Parallel()
				service, pool := setup(t)
				job := service.due(t, pool, `,"target":{"type":"worker","queue":"nobody"}`)
				run := ask(t, service, job)
				_, err := service.DeleteJobWithResponse(t.Context(), job.Id, nil)
				require.NoError(t, err)
				service.executes(t, 1)
				skipped := service.readRun(t, run.Id)
				require.Equal(t, client.RunStatusSKIPPED, skipped.Status)
				require.Equal(t, client.RunReasonJOBDELETED, *skipped.Reason)
				require.Zero(t, count(t, pool, `select count(*) from due`))
			})
		}
	})
}

func TestUpdateJob(t *testing.T) {
	t.Parallel()
	t.Run("counts a new interval from the last instant", func(t *testing.T) {
		t.Parallel()
		service, db := setup(t)
		job := service.createJob(t, "hourly", 3600, `null`)
		age(t, db, job.Id, 10*time.Minute)
		created := service.getJob(t, job.Id).CreatedAt

		changed := service.updateJob(t, job.Id, client.JobUpdate{IntervalInSeconds: new(int64(1800))})
		require.Equal(t, created.Add(30*time.Minute), *changed.NextRunAt)
		require.Equal(t, 1, count(t, db, "select count(*) from due where job_id = $1 and carries_schedule", job.Id))
	})
	// An instant that jitter makes due later is not the last one yet.
	t.Run("counts a new interval from the last instant that was due", func(t *testing.T) {
		t.Parallel()
		service, db := setup(t)
		var job client.Job
		jitter := time.Duration(0)
		for jitter < time.Minute { // it is the job's own
			job = service.create(t, `{"name":"spread","intervalInSeconds":3600,"jitterSeconds":3600}`)
			jitter = job.NextRunAt.Sub(job.CreatedAt) - time.Hour
		}
		age(t, db, job.Id, time.Hour+jitter/2)
		changed := service.updateJob(t, job.Id, client.JobUpdate{IntervalInSeconds: new(int64(7200))})
		require.Equal(t, changed.CreatedAt.Add(2*time.Hour+jitter), *changed.NextRunAt, "from its creation: there was none")
	})
	t.Run("of the interval loses no run that is due", func(t *testing.T) {
		t.Parallel()
		service, db := setup(t)
		job := service.createJob(t, "due-now", 3600, `null`)
		age(t, db, job.Id, time.Hour)
		due := *service.getJob(t, job.Id).NextRunAt

		service.updateJob(t, job.Id, client.JobUpdate{IntervalInSeconds: new(int64(60))})
		require.Equal(t, 1, service.pass(t), "what was due is not lost by the edit")

		runs := service.listRuns(t, job.Id)
		require.Len(t, runs, 1)
		require.Equal(t, due, runs[0].ScheduledFor)
		after := service.getJob(t, job.Id)
		require.Equal(t, due.Add(time.Minute), *after.NextRunAt)
		require.Equal(t, *runs[0].StartedAt, *after.LastRunAt)
	})
	t.Run("of other fields leaves the schedule alone", func(t *testing.T) {
		t.Parallel()
		service, _ := setup(t)
		job := service.createJob(t, "before", 60, `{"a":1}`)

		changed := service.updateJob(t, job.Id, client.JobUpdate{Name: new("after"), Payload: json.RawMessage(`[2]`)})
		require.Equal(t, "after", changed.Name)
		require.JSONEq(t, `[2]`, string(changed.Payload))
		require.Equal(t, job.NextRunAt, changed.NextRunAt)
		require.Equal(t, job.IntervalInSeconds, changed.IntervalInSeconds)

		nulled := service.updateJob(t, job.Id, client.JobUpdate{Payload: json.RawMessage(`null`)})
		require.JSONEq(t, `null`, string(nulled.Payload), "null is a payload, not the absence of one")
		require.Equal(t, "after", nulled.Name)
	})
	// Those who served the job before may be gone.
	t.Run("of the target moves runs that nobody executes yet", func(t *testing.T) {
		t.Parallel()
		for name, prepare := range map[string]func(t *testing.T, service instance, job client.Job){
			"due": func(*testing.T, instance, client.Job) {},
			"by hand, beside the schedule": func(t *testing.T, service instance, job client.Job) {
				t.Helper()
				service.leaseOne(t, "gone") // the one on the schedule
				service.startRun(t, job.Id, allowAll)
			},
			"before another attempt": func(t *testing.T, service instance, job client.Job) {
				t.Helper()
				service.fail(t, service.leaseOne(t, "gone"), `,"error":"no luck"`)
				require.Equal(t, client.RunStatusRUNNING, service.listRuns(t, job.Id)[0].Status)
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				service, pool := setup(t)
				job := service.due(
					t,
					pool,
					`,"target":{"type":"worker","queue":"gone"},"minBackoffSeconds":0,"maxBackoffSeconds":0`,
				)
				prepare(t, service, job)
				service.patch(t, job.Id, `{"target":{"type":"worker","queue":"new"}}`)
				service.release(t, service.leaseOne(t, "new"))
				service.patch(t, job.Id, `{"target":{"type":"log"}}`)
				service.executes(t, 1)
				require.Equal(t, client.RunStatusSUCCEEDED, service.listRuns(t, job.Id)[0].Status)
			})
		}
	})
}

// The job is gone, and its runs stay.
func TestDeleteJob(t *testing.T) {
	t.Parallel()
	service, db := setup(t)
	job := service.createJob(t, "short-lived", 60, `{"secret":"s3cr3t"}`)
	age(t, db, job.Id, time.Minute)
	require.Equal(t, 1, service.pass(t))
	run := service.listRuns(t, job.Id)[0]

	deleted, err := service.DeleteJobWithResponse(t.Context(), job.Id, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, deleted.StatusCode())

	age(t, db, job.Id, time.Hour)
	require.Zero(t, service.pass(t), "it does not fire again")
	got, err := service.GetJobWithResponse(t.Context(), job.Id)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, got.StatusCode())
	again, err := service.DeleteJobWithResponse(t.Context(), job.Id, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, again.StatusCode())
	updated, err := service.UpdateJobWithResponse(t.Context(), job.Id, nil, client.JobUpdate{Name: new("x")})
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, updated.StatusCode())
	runs, err := service.ListJobRunsWithResponse(t.Context(), job.Id, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, runs.StatusCode())

	stays, err := service.GetRunWithResponse(t.Context(), run.Id)
	require.NoError(t, err)
	run.JobName = nil
	require.Equal(t, run, *stays.JSON200, "its runs are still read by their id")
	require.Zero(
		t,
		count(t, db, "select count(*) from jobs where payload::text like '%s3cr3t%'"),
		"what the user wrote is gone",
	)
}
