package e2e

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/testdb"
	"punctual/internal/testdb/otlptest"
)

// traced starts a service that exports traces, a target that answers as answer says, and a job that
// calls it when it is asked to.
func traced(t *testing.T, answer func(w http.ResponseWriter)) (i instance, job client.Job, received chan http.Header) {
	t.Helper()
	received = make(chan http.Header, 10)
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		received <- r.Header
		answer(w)
	}))
	t.Cleanup(target.Close)
	i = start(t, reachable(t, app.Config{
		Database: app.DatabaseConfig{URL: testdb.New(t)},
		Pages:    app.PagesConfig{TraceURLTemplate: "https://traces.test/{traceId}?from=punctual"},
	}, target.URL))
	job = i.create(t, `{"name":"traced","key":"a/b","onDemand":true,"maxAttempts":2,"minBackoffSeconds":0,"maxBackoffSeconds":0,
		"target":{"type":"http","url":"`+target.URL+`/secret-path?secret=query"}}`)
	return i, job, received
}

// parts returns the trace, the span and the flags of a traceparent.
func parts(t *testing.T, traceparent string) (trace, span, flags string) {
	t.Helper()
	require.Regexp(t, "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$", traceparent)
	all := strings.Split(traceparent, "-")
	return all[1], all[2], all[3]
}

func TestTraceOfARunOfRequests(t *testing.T) {
	collector := otlptest.Start(t)
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
	var requests atomic.Int64
	service, job, received := traced(t, func(w http.ResponseWriter) {
		if requests.Add(1) == 1 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	run := service.startRun(t, job.Id, "")
	run = service.waitForRun(t, run.Id, client.RunStatusSUCCEEDED)
	require.NotNil(t, run.TraceId)
	collector.Await(t, *run.TraceId, "run", "claimed", "attempt", "POST", "claimed", "attempt", "POST")

	of := map[string][]otlptest.Span{}
	for _, span := range collector.Spans(*run.TraceId) {
		of[span.Name] = append(of[span.Name], span)
	}
	root := of["run"][0]
	assert.Empty(t, root.Parent)
	assert.WithinDuration(t, run.ScheduledFor, root.Start, time.Microsecond)
	assert.WithinDuration(t, *run.FinishedAt, root.End, time.Microsecond)
	assert.False(t, root.IsError)
	for name, want := range map[string]string{
		"punctual.run.id": run.Id.String(), "punctual.job.id": job.Id.String(), "punctual.job.key": "a/b", "punctual.job.name": "traced",
		"punctual.namespace": "default", "punctual.run.trigger": "MANUAL", "punctual.run.status": "SUCCEEDED",
	} {
		assert.Equal(t, want, root.Attributes[name], "%s", name)
	}
	assert.Equal(t, "punctual", root.Resource["service.name"])
	assert.Equal(t, "test", root.Resource["deployment.environment.name"])
	for n, isError := range []bool{true, false} {
		attempt, request := of["attempt"][n], of["POST"][n]
		assert.Equal(t, root.ID, attempt.Parent)
		assert.Equal(t, root.ID, of["claimed"][n].Parent)
		assert.False(t, of["claimed"][n].Start.After(attempt.Start))
		assert.Equal(t, attempt.ID, request.Parent, "the request is a part of its attempt")
		assert.False(t, request.Start.Before(attempt.Start), "the attempt begins before its request")
		assert.False(t, request.End.After(attempt.End), "and ends after it")
		assert.Equal(t, isError, attempt.IsError)
		assert.Equal(t, isError, request.IsError)
		assert.NotContains(t, strings.Join(values(request.Attributes), " "), "secret", "paths and queries may be secret")

		trace, span, flags := parts(t, (<-received).Get("Traceparent"))
		assert.Equal(t, *run.TraceId, trace)
		assert.Equal(t, request.ID, span, "what the target does belongs under the request")
		assert.Equal(t, "01", flags)
	}
	assert.Equal(t, "answered 500 Internal Server Error", of["attempt"][0].Message)
	assert.Contains(t, service.pageOf(t, run), `href="https://traces.test/`+*run.TraceId+`?from=punctual"`)
}

// pageOf returns the page of a run.
func (i instance) pageOf(t *testing.T, run client.Run) string {
	t.Helper()
	resp, err := http.Get(i.url + "/runs/" + run.Id.String())
	require.NoError(t, err)
	page, err := io.ReadAll(resp.Body)
	require.NoError(t, errors.Join(err, resp.Body.Close()))
	require.Equal(t, http.StatusOK, resp.StatusCode)
	return string(page)
}

func values(of map[string]string) (all []string) {
	for _, value := range of {
		all = append(all, value)
	}
	return all
}

// TestTraceOfAWorkersRun leases a run from one instance and reports its end to another.
func TestTraceOfAWorkersRun(t *testing.T) {
	collector := otlptest.Start(t)
	url := testdb.New(t)
	one := start(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: url}})
	two := start(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: url}})
	job := one.create(t, `{"name":"worked","onDemand":true,"target":{"type":"worker","queue":"q"}}`)
	run := one.startRun(t, job.Id, "")
	leased := one.leaseOne(t, "q")
	trace, span, flags := parts(t, leased.Traceparent)
	assert.Equal(t, *run.TraceId, trace)
	assert.Equal(t, "01", flags)
	two.complete(t, leased, "")

	spans := collector.Await(t, trace, "run", "attempt")
	assert.Equal(t, span, spans["attempt"].ID, "the lease has the attempt's span")
	assert.Equal(t, spans["run"].ID, spans["attempt"].Parent)
	assert.Equal(t, "worker", spans["attempt"].Attributes["punctual.run.executed_by"])
}

// TestTraceOfAnAPIRequest sends a request that is a part of a trace, and looks for it and for its
// statements there, and for the link with the trace of the run that it has started.
func TestTraceOfAnAPIRequest(t *testing.T) {
	collector := otlptest.Start(t)
	service, job, _ := traced(t, func(http.ResponseWriter) {})
	const trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	req, err := http.NewRequest(http.MethodPost, service.url+"/api/v1/jobs/"+job.Id.String()+"/run", nil)
	require.NoError(t, err)
	req.Header.Set("Traceparent", "00-"+trace+"-"+span+"-01")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusAccepted, resp.StatusCode)

	var request otlptest.Span
	require.EventuallyWithT(t, func(c *assertCollect) {
		spans := collector.Spans(trace)
		require.NotEmpty(c, spans)
		request = spans[0]
		require.Equal(c, "POST /api/v1/jobs/{id}/run", request.Name)
	}, patience, 10*time.Millisecond)
	assert.Equal(t, span, request.Parent)
	assert.Equal(t, "/api/v1/jobs/{id}/run", request.Attributes["http.route"])
	assert.Equal(t, resp.Header.Get("X-Request-Id"), request.Attributes["punctual.request.id"])
	var statements []string
	for _, s := range collector.Spans(trace)[1:] {
		statements = append(statements, s.Name)
		assert.Equal(t, request.ID, s.Parent, "%s is a statement of the request", s.Name)
	}
	assert.Contains(t, statements, "LockJob", "it is named as in sql/queries")
	run := service.listRuns(t, job.Id)[0]
	assert.Equal(t, []string{*run.TraceId}, request.Links)
}

// TestFailedRunsAreKept samples nothing.
func TestFailedRunsAreKept(t *testing.T) {
	collector := otlptest.Start(t)
	t.Setenv("OTEL_TRACES_SAMPLER", "always_off")
	var status atomic.Int64
	status.Store(http.StatusOK)
	service, job, received := traced(t, func(w http.ResponseWriter) { w.WriteHeader(int(status.Load())) })
	good := service.waitForRun(t, service.startRun(t, job.Id, "").Id, client.RunStatusSUCCEEDED)
	_, _, flags := parts(t, (<-received).Get("Traceparent"))
	assert.Equal(t, "00", flags, "the target is told that nobody keeps the trace")
	status.Store(http.StatusBadGateway)
	bad := service.waitForRun(t, service.startRun(t, job.Id, "").Id, client.RunStatusFAILED)

	spans := collector.Await(t, *bad.TraceId, "run", "claimed", "attempt", "POST", "claimed", "attempt", "POST")
	assert.True(t, spans["run"].IsError)
	assert.Equal(t, "answered 502 Bad Gateway", spans["run"].Message)
	assert.Empty(t, collector.Spans(*good.TraceId))
	assert.Len(t, collector.Spans(*bad.TraceId), collector.Len(), "requests are not kept either")
}

func TestNoTraces(t *testing.T) {
	t.Parallel()
	service, job, received := traced(t, func(http.ResponseWriter) {})
	run := service.startRun(t, job.Id, "")
	assert.Nil(t, run.TraceId)
	assert.NotContains(t, service.pageOf(t, run), "traces.test")
	_, _, flags := parts(t, (<-received).Get("Traceparent"))
	assert.Equal(t, "01", flags, "whether to keep it is the target's decision")
}
