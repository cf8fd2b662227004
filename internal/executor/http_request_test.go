package executor

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/internal/traceid"
)

const (
	oldSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" // Standard Webhooks' own example
	newSecret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

func TestRequestTellsOfTheRun(t *testing.T) {
	t.Parallel()
	server, requests := record(t)
	result, err := execute(t, server, fields{"headers": fields{"X-Team": "blue"}}, fields{"secretHeaders": fields{"Authorization": "Bearer abc"}})
	require.NoError(t, err)
	assert.Equal(t, http.StatusNoContent, result.StatusCode)
	assert.Positive(t, result.Duration)
	request := <-requests
	assert.Equal(t, http.MethodPost, request.Method, "the default method")
	assert.Equal(t, string(newRun(t, fields{}, nil).Payload), request.body, "the payload is the body")
	for name, want := range map[string]string{
		"Content-Type":           "application/json",
		"User-Agent":             "Punctual",
		"Idempotency-Key":        runID.String(),
		"Punctual-Namespace":     "payments",
		"Punctual-Run-Id":        runID.String(),
		"Punctual-Job-Id":        jobID.String(),
		"Punctual-Scheduled-For": "2026-11-23T11:00:00.120000Z",
		"Punctual-Attempt":       "2",
		"X-Team":                 "blue",
		"Authorization":          "Bearer abc",
		"Accept-Encoding":        "",
		"Webhook-Id":             "",
	} {
		assert.Equal(t, want, request.Header.Get(name), "%s", name)
	}
	assert.Regexp(t, "^00-"+traceid.OfRun(runID).TraceID().String()+"-[0-9a-f]{16}-01$", request.Header.Get("Traceparent"),
		"attempts of a run share a trace")
}

func TestRequestBody(t *testing.T) {
	t.Parallel()
	const payload = `{"to":"you"}`
	for name, row := range map[string]struct {
		definition        fields
		body, contentType string
	}{
		"PUT":               {fields{"method": "PUT"}, payload, "application/json"},
		"PATCH":             {fields{"method": "PATCH", "body": nil}, payload, "application/json"},
		"GET":               {fields{"method": "GET"}, "", ""},
		"HEAD":              {fields{"method": "HEAD"}, "", ""},
		"DELETE":            {fields{"method": "DELETE"}, "", ""},
		"DELETE and a body": {fields{"method": "DELETE", "body": "all"}, "all", ""},
		"a body":            {fields{"body": "a=1"}, "a=1", ""},
		"an empty body":     {fields{"body": ""}, "", ""},
		"JSON as a body":    {fields{"body": "{\"a\": 1}"}, `{"a": 1}`, "application/json"},
		"a type": {
			fields{"headers": fields{"content-type": "application/vnd.api+json"}},
			payload, "application/vnd.api+json",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, requests := record(t)
			_, err := execute(t, server, row.definition, nil)
			require.NoError(t, err)
			request := <-requests
			assert.Equal(t, row.body, request.body, "the body")
			assert.Equal(t, row.contentType, request.Header.Get("Content-Type"), "its type")
		})
	}
}

func TestSignatureOfTheSpecification(t *testing.T) {
	t.Parallel()
	signature, err := sign("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`), []string{oldSecret})
	require.NoError(t, err)
	require.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", signature)
}

func TestEachSecretVerifiesWhileOneReplacesTheOther(t *testing.T) {
	t.Parallel()
	server, requests := record(t)
	_, err := execute(t, server, fields{}, fields{"signingSecrets": []string{oldSecret, newSecret}})
	require.NoError(t, err)
	request := <-requests
	assert.Equal(t, runID.String(), request.Header.Get("Webhook-Id"))
	sent, err := strconv.ParseInt(request.Header.Get("Webhook-Timestamp"), 10, 64)
	require.NoError(t, err, "the timestamp is in seconds")
	assert.WithinDuration(t, time.Now(), time.Unix(sent, 0), time.Minute)
	for _, secret := range []string{oldSecret, newSecret} {
		webhook, err := standardwebhooks.NewWebhook(secret)
		require.NoError(t, err)
		require.NoError(t, webhook.Verify([]byte(request.body), request.Header), "a receiver with the one secret accepts it")
		require.Error(t, webhook.Verify([]byte(request.body+" "), request.Header), "and nothing else")
	}
}
