package e2e

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// retry starts a run that repeats another, and returns the answer.
func (i instance) retry(t *testing.T, run uuid.UUID) *client.RetryRunResponse {
	t.Helper()
	got, err := i.RetryRunWithResponse(t.Context(), run, nil)
	require.NoError(t, err)
	return got
}

func TestRetryRun(t *testing.T) {
	t.Parallel()
	// The target is told which run is done again, however often it is repeated.
	t.Run("that did not succeed", func(t *testing.T) {
		t.Parallel()
		for name, fate := range map[string]func(t *testing.T, service instance, job client.Job){
			"failed": func(t *testing.T, service instance, _ client.Job) {
				t.Helper()
				service.fail(t, service.leaseOne(t, "q"), `,"error":"no luck","retryable":false`)
			},
			"canceled": func(t *testing.T, service instance, job client.Job) {
				t.Helper()
				service.cancelDue(t, job.Id)
			},
			"skipped": func(t *testing.T, service instance, job client.Job) {
				t.Helper()
				service.patch(t, job.Id, `{"status":"PAUSED"}`)
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				service, pool := setup(t)
				job := service.due(t, pool, `,"target":{"type":"worker","queue":"q"},"maxAttempts":1`)
				fate(t, service, job)
				first := service.listRuns(t, job.Id)[0]

				again := service.retry(t, first.Id)
				require.Equal(t, http.StatusAccepted, again.StatusCode(), "%s", again.Body)
				second := *again.JSON202
				require.Equal(t, "/api/v1/runs/"+second.Id.String(), again.HTTPResponse.Header.Get("Location"))
				require.Equal(t, client.RunTriggerRETRY, second.Trigger)
				require.Equal(t, first.Id, *second.RetryOf)
				require.Equal(t, http.StatusConflict, service.retry(t, second.Id).StatusCode(), "it has not ended")
				leased := service.leaseOne(t, "q")
				require.Equal(t, second.Id, leased.Id)
				require.Equal(t, first.ScheduledFor, leased.ScheduledFor, "it is that run's work that is done")
				require.EqualValues(t, 1, leased.Attempt)
				service.fail(t, leased, `,"error":"no luck"`)

				third := *service.retry(t, second.Id).JSON202
				require.Equal(t, first.Id, *third.RetryOf, "it is the first one's work still")
				leased = service.leaseOne(t, "q")
				require.Equal(t, first.ScheduledFor, leased.ScheduledFor)
				service.complete(t, leased, "")
				require.Equal(t, first.Id, *service.readRun(t, third.Id).RetryOf)
				require.Equal(t, http.StatusConflict, service.retry(t, third.Id).StatusCode(), "it has succeeded")
				require.Equal(t, first, service.readRun(t, first.Id), "what was stays")
				require.Len(t, service.listRuns(t, job.Id), 3)
			})
		}
	})
	t.Run("is refused", func(t *testing.T) {
		t.Parallel()
		service, pool := setup(t)
		require.Equal(t, http.StatusNotFound, service.retry(t, uuid.Must(uuid.NewV7())).StatusCode())
		job := service.due(t, pool, queued)
		run := service.listRuns(t, job.Id)[0]
		require.Equal(t, http.StatusConflict, service.retry(t, run.Id).StatusCode(), "it is due")
		executing := service.leaseOne(t, "q")
		require.Equal(t, http.StatusConflict, service.retry(t, run.Id).StatusCode(), "it executes")
		service.cancel(t, run.Id)
		service.complete(t, executing, "")
		require.Equal(t, http.StatusConflict, service.retry(t, run.Id).StatusCode(), "it has succeeded")

		job = service.due(t, pool, ``)
		service.cancelDue(t, job.Id)
		run = service.listRuns(t, job.Id)[0]
		_, err := service.DeleteJobWithResponse(t.Context(), job.Id, nil)
		require.NoError(t, err)
		refused := service.retry(t, run.Id)
		require.Equal(t, http.StatusConflict, refused.StatusCode())
		require.Equal(t, "The run's job was deleted.", refused.ApplicationproblemJSON409.Detail)
	})
}
