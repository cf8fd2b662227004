package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// startRun starts a run of a job by hand, by a policy or, if that is empty, by the job's own.
func (i instance) startRun(t *testing.T, job uuid.UUID, policy client.OverlapPolicyOverride) client.Run {
	t.Helper()
	params := &client.RunJobParams{}
	if policy != "" {
		params.OverlapPolicy = &policy
	}
	got, err := i.RunJobWithResponse(t.Context(), job, params, client.RunStart{})
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, got.StatusCode(), "started: %s", got.Body)
	require.Equal(t, "/api/v1/runs/"+got.JSON202.Id.String(), got.HTTPResponse.Header.Get("Location"))
	return *got.JSON202
}

// readRun reads a run.
func (i instance) readRun(t *testing.T, id uuid.UUID) client.Run {
	t.Helper()
	got, err := i.GetRunWithResponse(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), "found: %s", got.Body)
	return *got.JSON200
}

// cancel cancels a run, and returns the answer.
func (i instance) cancel(t *testing.T, id uuid.UUID) *client.CancelRunResponse {
	t.Helper()
	got, err := i.CancelRunWithResponse(t.Context(), id)
	require.NoError(t, err)
	return got
}

// executes makes passes until so many runs were claimed and ended. An announcement takes a moment
// to reach the poller.
func (i instance) executes(t *testing.T, runs int) {
	t.Helper()
	done := 0
	require.Eventually(t, func() bool {
		done += i.pass(t)
		return done >= runs
	}, 10*time.Second, 5*time.Millisecond, "%d runs are claimed", runs)
	require.Equal(t, runs, done+i.pass(t), "and no more")
}

// due creates a job that is due now, and then once a minute.
func (i instance) due(t *testing.T, pool *pgxpool.Pool, body string) client.Job {
	t.Helper()
	job := i.create(t, `{"name":"due","intervalInSeconds":60`+body+`}`)
	age(t, pool, job.Id, time.Minute)
	return i.getJob(t, job.Id)
}
