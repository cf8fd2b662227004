package executor

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/internal/traceid"
)

// TestTraceNotesRequests follows a redirect: each request is a span of its own, of which its
// receiver is told.
func TestTraceNotesRequests(t *testing.T) {
	t.Parallel()
	told := make(chan string, 2)
	server := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		told <- r.Header.Get("Traceparent")
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/there", http.StatusTemporaryRedirect)
		}
	})
	run := newRun(t, fields{"url": server.URL, "followRedirects": true}, nil)
	now := scheduled
	run.Trace = &Trace{Attempt: traceid.OfAttempt(runID, 1), Now: func() time.Time {
		now = now.Add(time.Second)
		return now
	}}
	_, err := executor(t, server.Listener.Addr()).Execute(t.Context(), run)
	require.NoError(t, err)
	require.Len(t, run.Trace.Requests, 2)
	for i, request := range run.Trace.Requests {
		assert.Equal(t, "POST", request.Method)
		assert.Equal(t, server.Listener.Addr().String(), request.Host)
		assert.Equal(t, []int{307, 200}[i], request.StatusCode)
		assert.Equal(t, traceid.Parent(request.Span), <-told)
		assert.Equal(t, run.Trace.Attempt.TraceID(), request.Span.TraceID())
		assert.NotEqual(t, run.Trace.Attempt.SpanID(), request.Span.SpanID())
	}
	one, two := run.Trace.Requests[0], run.Trace.Requests[1]
	assert.NotEqual(t, one.Span.SpanID(), two.Span.SpanID())
	assert.Equal(t, []time.Duration{1, 2, 3, 5}, []time.Duration{
		one.Began.Sub(scheduled) / time.Second, one.Ended.Sub(scheduled) / time.Second,
		two.Began.Sub(scheduled) / time.Second, two.Ended.Sub(scheduled) / time.Second,
	}, "a request ends when its answer is read")
}

func TestTraceNotesThatThereIsNoAnswer(t *testing.T) {
	t.Parallel()
	server := receiver(t, func(http.ResponseWriter, *http.Request) {})
	run := newRun(t, fields{"url": server.URL}, nil)
	run.Trace = &Trace{Attempt: traceid.OfAttempt(runID, 1).WithTraceFlags(0), Now: time.Now}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := executor(t, server.Listener.Addr()).Execute(ctx, run)
	require.Error(t, err)
	require.Len(t, run.Trace.Requests, 1)
	assert.Zero(t, run.Trace.Requests[0].StatusCode)
	assert.False(t, run.Trace.Requests[0].Ended.IsZero())
	assert.False(t, run.Trace.Requests[0].Span.IsSampled(), "as the attempt")
}
