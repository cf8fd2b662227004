package executor

import (
	"crypto/rand"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/trace"

	"punctual/internal/traceid"
)

// traceParentHeader is the header of W3C Trace Context.
const traceParentHeader = "traceparent"

// Trace notes the requests of an attempt. A nil Trace notes nothing.
type Trace struct {
	// Attempt is the attempt's span.
	Attempt trace.SpanContext
	// Now is the time by which requests are noted.
	Now func() time.Time
	// Requests are those that were sent, in order.
	Requests []Request
}

// Request is a request of an attempt. Its path and its query are not noted, as they may be secret.
type Request struct {
	// Span is the request's span, of which the receiver's is a child.
	Span   trace.SpanContext
	Method string
	// Host may have a port.
	Host         string
	Began, Ended time.Time
	// StatusCode is zero if there was no answer.
	StatusCode int
}

// begin notes that a request is about to be sent, and tells the receiver its span.
func (t *Trace) begin(req *http.Request) {
	if t == nil {
		return
	}
	span := childOf(t.Attempt)
	req.Header.Set(traceParentHeader, traceid.Parent(span))
	t.Requests = append(t.Requests, Request{Span: span, Method: req.Method, Host: req.URL.Host, Began: t.Now()})
}

// end notes the answer to the latest request, or that there was none. It may be called again when
// more of the answer has arrived.
func (t *Trace) end(resp *http.Response) {
	if t == nil {
		return
	}
	latest := &t.Requests[len(t.Requests)-1]
	latest.Ended = t.Now()
	if resp != nil {
		latest.StatusCode = resp.StatusCode
	}
}

// childOf returns a new span in the same trace.
func childOf(span trace.SpanContext) trace.SpanContext {
	var id trace.SpanID
	_, _ = rand.Read(id[:]) // never fails
	return span.WithSpanID(id)
}
