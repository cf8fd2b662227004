package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

// The instance that learns of the end of a worker's run executes nothing by itself, and the one
// that does has another process. Still, the run of an event starts at once.
func TestEventStartsRun(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	api := start(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: url}})
	start(t, app.Config{Role: app.RolePoller, Database: app.DatabaseConfig{URL: url}})
	watched := api.create(t, `{"name":"watched","onDemand":true,"maxAttempts":1,"target":{"type":"worker","queue":"q"}}`)
	created, err := api.PutJobByKeyWithBodyWithResponse(t.Context(), "alert", &client.PutJobByKeyParams{}, "application/json",
		strings.NewReader(`{"name":"alert","startsOn":{"events":["run.failed"],"jobs":{"labelSelector":"!quiet"}}}`))
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, created.StatusCode(), "%s", created.Body)
	require.Equal(t, client.OverlapPolicyALLOWALL, created.JSON201.OverlapPolicy)
	require.Nil(t, created.JSON201.NextRunAt)
	alert := created.JSON201.Id

	failed := api.startRun(t, watched.Id, "")
	api.fail(t, api.leaseOne(t, "q"), `,"error":"no luck"`)
	began := time.Now()
	require.Eventually(t, func() bool {
		runs := api.listRuns(t, alert)
		return len(runs) == 1 && runs[0].Status == client.RunStatusSUCCEEDED
	}, 20*time.Second, 10*time.Millisecond)
	t.Logf("started and executed after %v", time.Since(began))
	run := api.readRun(t, api.listRuns(t, alert)[0].Id)
	require.Equal(t, client.RunTriggerEVENT, run.Trigger)
	require.Equal(t, failed.Id, *run.CausedBy)
	var payload map[string]any
	require.NoError(t, json.Unmarshal(run.Payload, &payload), "%s", run.Payload)
	require.Equal(t, "run.failed", payload["type"])
	data := payload["data"].(map[string]any)
	require.Equal(t, []any{"watched", failed.Id.String(), "no luck"}, []any{data["jobName"], data["runId"], data["error"]})
}
