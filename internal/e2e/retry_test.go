package e2e

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// retry starts a run that repeats another, and returns what it was answered.
func (i instance) retry(t *testing.T, run uuid.UUID) *client.RetryRunResponse {
	t.Helper()
	got, err := i.RetryRunWithResponse(t.Context(), run, nil)
	require.NoError(t, err)
	return got
}

// What did not succeed is done again: the target is told what for, however often it is repeated.
func TestRetryingWhatDidNotSucceed(t *testing.T) {
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
}

// It obeys the overlap policy, also while it waits for another run's end.
func TestARetryObeysTheOverlapPolicy(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.due(t, pool, `,"overlapPolicy":"BUFFER_ONE"`)
	service.cancelDue(t, job.Id)
	first := service.listRuns(t, job.Id)[0]
	service.startRun(t, job.Id, "")
	executing := begin(t, pool)
	waits, skipped := service.retry(t, first.Id).JSON202, service.retry(t, first.Id).JSON202
	require.Equal(t, client.RunStatusPENDING, waits.Status)
	require.Equal(t, client.RunStatusSKIPPED, skipped.Status)
	require.Equal(t, first.Id, *waits.RetryOf)
	require.Equal(t, first.Id, *skipped.RetryOf)
	end(t, pool, executing, nil)
	service.executes(t, 1)
	ended := service.readRun(t, waits.Id)
	require.Equal(t, client.RunStatusSUCCEEDED, ended.Status)
	require.Equal(t, client.RunTriggerRETRY, ended.Trigger)
	require.Equal(t, first.Id, *ended.RetryOf)
	require.Equal(t, job.NextRunAt.Add(time.Minute), *service.getJob(t, job.Id).NextRunAt)
}

func TestWhatCannotBeRetried(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	require.Equal(t, http.StatusNotFound, service.retry(t, uuid.Must(uuid.NewV7())).StatusCode())
	job := service.due(t, pool, ``)
	run := service.listRuns(t, job.Id)[0]
	require.Equal(t, http.StatusConflict, service.retry(t, run.Id).StatusCode(), "it is due")
	executing := begin(t, pool)
	require.Equal(t, http.StatusConflict, service.retry(t, run.Id).StatusCode(), "it executes")
	service.cancel(t, run.Id)
	end(t, pool, executing, nil)
	require.Equal(t, http.StatusConflict, service.retry(t, run.Id).StatusCode(), "it has succeeded")

	job = service.due(t, pool, ``)
	service.cancelDue(t, job.Id)
	run = service.listRuns(t, job.Id)[0]
	_, err := service.DeleteJobWithResponse(t.Context(), job.Id)
	require.NoError(t, err)
	refused := service.retry(t, run.Id)
	require.Equal(t, http.StatusConflict, refused.StatusCode())
	require.Equal(t, "The run's job was deleted.", refused.ApplicationproblemJSON409.Detail)
}

// Also where the run is due a moment after it was asked for, and so not to be read yet.
func TestARetryNamesWhatItRepeatsBeforeItIsDue(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.due(t, pool, `,"maxAttempts":1`)
	first := begin(t, pool)
	end(t, pool, first, errors.New("no luck"))
	age(t, pool, job.Id, 55*time.Second)
	claimOne(t, pool, job.Id) // ahead of its instant
	policy := cancelOther
	again, err := service.RetryRunWithResponse(t.Context(), first.RunID(), &client.RetryRunParams{OverlapPolicy: &policy})
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, again.StatusCode(), "%s", again.Body)
	require.Equal(t, client.RunStatusPENDING, again.JSON202.Status)
	require.NotNil(t, again.JSON202.RetryOf, "it repeats a run")
	require.Equal(t, first.RunID(), *again.JSON202.RetryOf)
}
