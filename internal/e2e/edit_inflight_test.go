package e2e

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/executor"
)

// An edit while a run is in flight: the run ends as it began, is counted once, and what comes next is the edit's.
func TestEditsWhileTheRunIsInFlight(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change string
		// left is the rest of the due row, after the run.
		left string
	}{
		"interval": {`{"intervalInSeconds":3600}`, `queue is null and not awaits_worker`},
		"cron":     {`{"cron":"0 0 1 1 *"}`, `queue is null`},
		"to a worker": {
			`{"target":{"type":"worker","queue":"q"}}`, `queue = 'q' and awaits_worker`,
		},
		"into a group":      {`{"concurrencyGroup":"g","maxConcurrency":1}`, `concurrency_group = 'g'`},
		"paused":            {`{"status":"PAUSED"}`, `false`},
		"paused, for a why": {`{"status":"PAUSED","statusReason":"holidays"}`, `false`},
		"completed by it":   {`{"maxRuns":1}`, `false`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service, pool := setup(t)
			job := service.due(t, pool, ``)
			run := begin(t, pool)
			changed := service.patch(t, job.Id, c.change)
			require.NotNil(t, changed.JSON200, "changed: %s", changed.Body)
			end(t, pool, run, nil)

			after := service.getJob(t, job.Id)
			require.EqualValues(t, 1, after.RunCount)
			require.Equal(t, service.readRun(t, run.RunID()).StartedAt, after.LastRunAt)
			require.Len(t, service.listRuns(t, job.Id), 1, "it ran once, and nothing is passed over")
			if c.left == `false` {
				require.Zero(t, count(t, pool, `select count(*) from due`))
				require.Nil(t, after.NextRunAt)
				return
			}
			require.Equal(t, changed.JSON200.NextRunAt, after.NextRunAt)
			require.Equal(t, 1, count(t, pool, `select count(*) from due where carries_schedule and revised_at is null and `+c.left))
		})
	}
}

// What the end of a run does to its job is the edit's too.
func TestHowAJobGoesOnIsEditedWhileTheRunIsInFlight(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body, change string
		want         client.JobStatus
	}{
		"to be paused":                     {``, `{"pauseAfterFailures":1}`, client.JobStatusPAUSED},
		"not to be paused":                 {`,"pauseAfterFailures":1`, `{"pauseAfterFailures":null}`, client.JobStatusACTIVE},
		"not to be paused, due otherwise":  {`,"pauseAfterFailures":1`, `{"pauseAfterFailures":2,"intervalInSeconds":3600}`, client.JobStatusACTIVE},
		"to be paused, beside it":          {`,"overlapPolicy":"ALLOW_ALL"`, `{"pauseAfterFailures":1}`, client.JobStatusPAUSED},
		"not to be paused, and it is told": {`,"pauseAfterFailures":1`, `{"pauseAfterFailures":null,"name":"gone"}`, client.JobStatusPAUSED},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service, pool := setup(t)
			job := service.due(t, pool, c.body+`,"maxAttempts":1`)
			run := begin(t, pool)
			require.NotNil(t, service.patch(t, job.Id, c.change).JSON200)
			failure := &executor.Failure{Err: errors.New("no luck")}
			if service.getJob(t, job.Id).Name == "gone" {
				failure.PauseReason = "the target is gone"
			}
			end(t, pool, run, failure)
			after := service.getJob(t, job.Id)
			require.Equal(t, c.want, after.Status)
			require.Equal(t, c.want == client.JobStatusACTIVE, after.NextRunAt != nil)
			require.EqualValues(t, 1, after.RunCount)
		})
	}
}

// Back and forth changes nothing twice.
func TestManyEditsWhileTheRunIsInFlight(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.due(t, pool, ``)
	run := begin(t, pool)
	for _, change := range []string{
		`{"status":"PAUSED"}`, `{"status":"ACTIVE"}`, `{"intervalInSeconds":7200}`, `{"status":"PAUSED"}`, `{"intervalInSeconds":3600}`,
		`{"status":"ACTIVE"}`,
	} {
		require.NotNil(t, service.patch(t, job.Id, change).JSON200, change)
		require.Equal(t, client.RunStatusSKIPPED, service.startRun(t, job.Id, "").Status, "the run is in flight all the while")
	}
	end(t, pool, run, nil)
	after := service.getJob(t, job.Id)
	require.EqualValues(t, 1, after.RunCount)
	require.Equal(t, 1, count(t, pool, `select count(*) from due where carries_schedule and scheduled_for > now()`))
	require.Equal(t, 1, count(t, pool, `select count(*) from due`))
}

// What nobody executes yet goes where the job is executed from now on: who served it before may be gone.
func TestWhatIsDueFollowsItsJobToAnotherTarget(t *testing.T) {
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
			job := service.due(t, pool, `,"target":{"type":"worker","queue":"gone"},"minBackoffSeconds":0,"maxBackoffSeconds":0`)
			prepare(t, service, job)
			service.patch(t, job.Id, `{"target":{"type":"worker","queue":"new"}}`)
			service.release(t, service.leaseOne(t, "new"))
			service.patch(t, job.Id, `{"target":{"type":"log"}}`)
			service.executes(t, 1)
			require.Equal(t, client.RunStatusSUCCEEDED, service.listRuns(t, job.Id)[0].Status)
		})
	}
}

// What came due while a run was in flight is counted where the schedule goes on without it.
func TestWhatARunInFlightHeldUpIsCounted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change string
		reason client.RunReason
	}{
		"paused": {`{"status":"PAUSED"}`, client.RunReasonJOBPAUSED},
		"edited": {`{"intervalInSeconds":3600}`, client.RunReasonOVERLAP},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service, pool := setup(t)
			job := service.createJob(t, "held-up", 60, `null`)
			age(t, pool, job.Id, 4*time.Minute)
			row := claimOne(t, pool, job.Id) // as if it executed since then
			require.NotNil(t, service.patch(t, job.Id, c.change).JSON200)
			require.True(t, complete(t, pool, row))
			runs := service.listRuns(t, job.Id)
			require.Len(t, runs, 2)
			require.Equal(t, client.RunStatusSKIPPED, runs[0].Status)
			require.Equal(t, c.reason, *runs[0].Reason)
			require.EqualValues(t, 3, runs[0].Occurrences)
			require.Equal(t, row.Claimed.ScheduledFor.Add(time.Minute).UTC(), runs[0].ScheduledFor)
		})
	}
}

// What somebody asked for is not dropped with the schedule that is paused; with a job that is deleted it is, and says so.
func TestPausingKeepsWhatWasAskedFor(t *testing.T) {
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
			_, err := service.DeleteJobWithResponse(t.Context(), job.Id)
			require.NoError(t, err)
			service.executes(t, 1)
			skipped := service.readRun(t, run.Id)
			require.Equal(t, client.RunStatusSKIPPED, skipped.Status)
			require.Equal(t, client.RunReasonJOBDELETED, *skipped.Reason)
			require.Zero(t, count(t, pool, `select count(*) from due`))
		})
	}
}

// A deleted job's run in flight ends with what waits for it.
func TestDeletingWhileARunWaitsForAnother(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.due(t, pool, ``)
	first := begin(t, pool)
	waits := service.startRun(t, job.Id, bufferOne)
	_, err := service.DeleteJobWithResponse(t.Context(), job.Id)
	require.NoError(t, err)
	require.Equal(t, client.RunReasonJOBDELETED, *service.readRun(t, waits.Id).Reason)
	end(t, pool, first, errors.New("no luck"))
	require.Equal(t, client.RunStatusRUNNING, service.readRun(t, first.RunID()).Status, "another attempt is left")
}

// What is next is never before the change that made it so, however long the run in flight has been.
func TestNextRunAfterAnEditOfALongRun(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.createJob(t, "long", 3600, `null`)
	age(t, pool, job.Id, time.Hour)
	claimOne(t, pool, job.Id)
	age(t, pool, job.Id, 5*time.Minute)

	changed := service.updateJob(t, job.Id, client.JobUpdate{IntervalInSeconds: new(int64(10))})
	require.True(t, changed.NextRunAt.After(changed.UpdatedAt), "next at %s, changed at %s", changed.NextRunAt, changed.UpdatedAt)
}
