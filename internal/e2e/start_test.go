package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

const (
	skip        = client.OverlapPolicyOverrideSKIP
	bufferOne   = client.OverlapPolicyOverrideBUFFERONE
	allowAll    = client.OverlapPolicyOverrideALLOWALL
	cancelOther = client.OverlapPolicyOverrideCANCELOTHER
)

func TestRunJob(t *testing.T) {
	t.Parallel()
	// The run is executed whatever the status of the job is. The status stays, as the schedule
	// does.
	t.Run("that is idle", func(t *testing.T) {
		t.Parallel()
		for name, prepare := range map[string]func(*testing.T, instance, uuid.UUID){
			"active": func(*testing.T, instance, uuid.UUID) {},
			"paused": func(t *testing.T, service instance, job uuid.UUID) {
				t.Helper()
				service.patch(t, job, `{"status":"PAUSED"}`)
			},
			"completed": func(t *testing.T, service instance, job uuid.UUID) {
				t.Helper()
				service.patch(t, job, `{"maxRuns":2}`)
				service.startRun(t, job, "")
				service.executes(t, 1)
				require.Equal(t, client.JobStatusCOMPLETED, service.getJob(t, job).Status)
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				service, pool := setup(t)
				job := service.due(t, pool, ``)
				service.executes(t, 1)
				prepare(t, service, job.Id)
				before := service.getJob(t, job.Id)

				run := service.startRun(t, job.Id, "")
				require.Equal(t, client.RunStatusPENDING, run.Status)
				require.Equal(t, client.RunTriggerMANUAL, run.Trigger)
				require.Equal(t, run, service.readRun(t, run.Id), "what is read is what starting it answered")
				require.Equal(t, run, service.listRuns(t, job.Id)[0])
				service.executes(t, 1)
				ended := service.readRun(t, run.Id)
				require.Equal(t, client.RunStatusSUCCEEDED, ended.Status)
				require.Equal(t, client.RunTriggerMANUAL, ended.Trigger)

				after := service.getJob(t, job.Id)
				require.Equal(t, before.Status, after.Status)
				require.Equal(t, before.NextRunAt, after.NextRunAt, "the schedule does not move")
				require.Equal(t, before.RunCount+1, after.RunCount)
				require.Equal(t, ended.StartedAt, after.LastRunAt)
			})
		}
	})
	// A run that is due is open, though nobody executes it yet.
	t.Run("while another run is due", func(t *testing.T) {
		t.Parallel()
		for policy, want := range map[client.OverlapPolicyOverride][]client.RunStatus{
			skip:        {client.RunStatusSKIPPED, client.RunStatusSUCCEEDED},
			bufferOne:   {client.RunStatusSUCCEEDED, client.RunStatusSUCCEEDED},
			cancelOther: {client.RunStatusSUCCEEDED, client.RunStatusCANCELED},
		} {
			t.Run(string(policy), func(t *testing.T) {
				t.Parallel()
				service, pool := setup(t)
				job := service.due(t, pool, ``)
				service.startRun(t, job.Id, policy)
				require.Eventually(t, func() bool {
					service.pass(t)
					return count(t, pool, `select count(*) from runs`) == 2
				}, 10*time.Second, 5*time.Millisecond, "both end")
				runs := service.listRuns(t, job.Id)
				require.Equal(t, want, []client.RunStatus{runs[0].Status, runs[1].Status})
				require.Equal(t, job.NextRunAt.Add(time.Minute), *service.getJob(t, job.Id).NextRunAt)
				require.Equal(t, 1, count(t, pool, `select count(*) from due`))
			})
		}
	})
	t.Run("counts as one of maxRuns", func(t *testing.T) {
		t.Parallel()
		service, _ := setup(t)
		job := service.create(t, `{"name":"x","intervalInSeconds":60,"maxRuns":1,"deleteAfterCompletion":true}`)
		run := service.startRun(t, job.Id, "")
		service.executes(t, 1)
		gone, err := service.GetJobWithResponse(t.Context(), job.Id)
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, gone.StatusCode(), "it has completed, and was deleted then")
		require.Equal(t, client.RunStatusSUCCEEDED, service.readRun(t, run.Id).Status)

		again, err := service.RunJobWithResponse(t.Context(), job.Id, nil, client.RunStart{})
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, again.StatusCode())
	})
	// Nobody is left who would execute it.
	t.Run("ends with its job, also behind a run of a worker", func(t *testing.T) {
		t.Parallel()
		service, pool := setup(t)
		job := service.create(t, `{"name":"x","intervalInSeconds":60,"target":{"type":"worker","queue":"nobody"}}`)
		service.patch(t, job.Id, `{"status":"PAUSED"}`)
		first, second := service.startRun(t, job.Id, ""), service.startRun(t, job.Id, bufferOne)
		deleted, err := service.DeleteJobWithResponse(t.Context(), job.Id, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, deleted.StatusCode())
		service.executes(t, 1)
		require.Zero(t, count(t, pool, `select count(*) from due`))
		for _, run := range []client.Run{first, second} {
			require.Equal(t, client.RunReasonJOBDELETED, *service.readRun(t, run.Id).Reason)
		}
	})
}
