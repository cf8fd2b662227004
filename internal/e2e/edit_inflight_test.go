package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

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
