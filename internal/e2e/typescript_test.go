package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/gen/server"
	"punctual/internal/app"
	"punctual/internal/testdb"
	"punctual/internal/traceid"
)

// A client that is generated for another language can call each operation of the contract.
func TestTypeScriptClientCallsEachOperation(t *testing.T) {
	t.Parallel()
	service := start(t, app.Config{Database: app.DatabaseConfig{URL: testdb.New(t)}})
	calls := runTypeScript(t, "operations.js", []string{"PUNCTUAL_URL=" + service.url})
	called := map[string]bool{}
	for line := range calls.lines {
		called[line] = true
	}
	require.NoError(t, calls.wait(), "each answer is as expected")

	spec, err := server.GetSpec()
	require.NoError(t, err)
	for path, item := range spec.Paths.Map() {
		for method, op := range item.Operations() {
			assert.True(t, called[method+" "+path], "%s is called", op.OperationID)
		}
	}
}

// received is a request as the receiver prints it.
type received struct {
	Method  string
	Headers map[string]string
	Body    string
	// Verified tells which of the receiver's secrets verify the request, and Forged which of them
	// verify it with another body.
	Verified, Forged []bool
}

// The secrets of the receiver: one, another one that replaces it, and one that the service never
// gets.
var receiverSecrets = []string{
	signingSecret, "whsec_" + strings.Repeat("bmV3", 8), "whsec_" + strings.Repeat("b3Ro", 8),
}

// A receiver in another language, with the library of Standard Webhooks, verifies requests, also
// while one secret replaces another.
func TestTypeScriptReceiverVerifiesRequests(t *testing.T) {
	t.Parallel()
	receiver := runTypeScript(t, "receiver.js", nil, receiverSecrets...)
	at := "http://127.0.0.1:" + await(t, receiver.lines, "the receiver's port")
	next := func() (got received) {
		require.NoError(t, json.Unmarshal([]byte(await(t, receiver.lines, "a request")), &got))
		return got
	}
	service := start(t, reachable(t, app.Config{
		Database: app.DatabaseConfig{URL: testdb.New(t)}, SecretKeys: keyring(t, "a"),
	}, at))
	target := func(path string, secrets ...string) string {
		list, err := json.Marshal(secrets)
		require.NoError(t, err)
		return `"target":{"type":"http","url":"` + at + path + `","signingSecrets":` + string(list) + `}`
	}
	payload := `{"to": "you", "é": 1.0}`
	job := service.create(t, `{"name":"signed","intervalInSeconds":3600,"minBackoffSeconds":0,"maxBackoffSeconds":0,
		"payload":`+payload+`,`+target("/busy-at-first", receiverSecrets[0])+`}`)

	run := service.startRun(t, job.Id, "")
	one, two := next(), next()
	assert.Equal(t, "POST", one.Method)
	assert.Equal(t, payload, one.Body, "the payload arrives to the byte")
	for attempt, got := range map[string]received{"1": one, "2": two} {
		assert.Equal(t, []bool{true, false, false}, got.Verified, "only the secret that the job has verifies")
		assert.Equal(t, []bool{false, false, false}, got.Forged, "none verifies what was not sent")
		for header, want := range map[string]string{
			"content-type":           "application/json",
			"user-agent":             "Punctual",
			"idempotency-key":        run.Id.String(),
			"webhook-id":             run.Id.String(),
			"punctual-run-id":        run.Id.String(),
			"punctual-job-id":        job.Id.String(),
			"punctual-scheduled-for": run.ScheduledFor.Format("2006-01-02T15:04:05.000000Z"),
			"punctual-attempt":       attempt,
		} {
			assert.Equal(t, want, got.Headers[header], "%s of attempt %s", header, attempt)
		}
		assert.Regexp(t, "^00-"+traceid.OfRun(run.Id).TraceID().String()+"-[0-9a-f]{16}-01$", got.Headers["traceparent"])
	}
	assert.NotEqual(t, one.Headers["traceparent"], two.Headers["traceparent"], "each attempt is a span of its own")
	service.waitForRun(t, run.Id, client.RunStatusSUCCEEDED)

	for _, stage := range []struct {
		name     string
		secrets  []string
		verified []bool
	}{
		{"both sign while one replaces the other", receiverSecrets[:2], []bool{true, true, false}},
		{"then only the new one does", receiverSecrets[1:2], []bool{false, true, false}},
	} {
		changed := service.patch(t, job.Id, `{`+target("/", stage.secrets...)+`}`)
		require.Equal(t, http.StatusOK, changed.StatusCode(), "changed: %s", changed.Body)
		run := service.startRun(t, job.Id, "")
		assert.Equal(t, stage.verified, next().Verified, stage.name)
		service.waitForRun(t, run.Id, client.RunStatusSUCCEEDED)
	}
}

// waitForRun waits until a run has a status, and returns it.
func (i instance) waitForRun(t *testing.T, id uuid.UUID, status client.RunStatus) (run client.Run) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assertCollect) {
		got, err := i.GetRunWithResponse(t.Context(), id)
		require.NoError(c, err)
		require.Equal(c, http.StatusOK, got.StatusCode(), "found: %s", got.Body)
		run = *got.JSON200
		require.Equal(c, status, run.Status, "%s", got.Body)
	}, patience, 50*time.Millisecond)
	return run
}
