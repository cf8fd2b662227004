package e2e

import (
	"bytes"
	"net/http"
	"strconv"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// lease asks a queue for runs as a worker does, and returns nil if none is due.
func (i instance) lease(t *testing.T, queue, body string) *client.Lease {
	t.Helper()
	got, err := i.LeaseRunsWithBodyWithResponse(t.Context(), queue, "application/json", bytes.NewBufferString(body))
	require.NoError(t, err)
	if got.StatusCode() == http.StatusNoContent {
		return nil
	}
	require.Equal(t, http.StatusOK, got.StatusCode(), "leased: %s", got.Body)
	return got.JSON200
}

// leaseOne leases a run that is due.
func (i instance) leaseOne(t *testing.T, queue string) client.LeasedRun {
	t.Helper()
	lease := i.lease(t, queue, `{"waitSeconds":10,"leaseSeconds":60}`)
	require.NotNil(t, lease, "a run of the queue is due")
	require.Len(t, lease.Runs, 1)
	return lease.Runs[0]
}

// says sends a report of a worker about a run, and returns the status of the answer.
func (i instance) says(t *testing.T, run client.LeasedRun, what, more string) int {
	t.Helper()
	resp, err := http.Post(i.url+"/api/v1/runs/"+run.Id.String()+"/"+what, "application/json",
		bytes.NewBufferString(`{"token":`+strconv.FormatInt(run.Token, 10)+more+`}`))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

func (i instance) complete(t *testing.T, run client.LeasedRun, more string) {
	t.Helper()
	require.Equal(t, http.StatusNoContent, i.says(t, run, "complete", more))
}

func (i instance) fail(t *testing.T, run client.LeasedRun, more string) {
	t.Helper()
	require.Equal(t, http.StatusNoContent, i.says(t, run, "fail", more))
}

func (i instance) release(t *testing.T, run client.LeasedRun) {
	t.Helper()
	require.Equal(t, http.StatusNoContent, i.says(t, run, "release", ""))
}

// cancelDue cancels the due run of a job before it begins.
func (i instance) cancelDue(t *testing.T, job uuid.UUID) {
	t.Helper()
	require.Equal(t, http.StatusAccepted, i.cancel(t, i.listRuns(t, job)[0].Id).StatusCode())
	i.executes(t, 1)
}
