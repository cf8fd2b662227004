// Package traceid computes where a run stands in the traces of OpenTelemetry.
//
// A run is a trace, and its ids are functions of the run's id: whoever knows the run knows its
// trace, and the attempts of all instances are in it, with nothing stored. The ids are hashes
// because samplers take the last bytes of a trace's id for random ones. Those of a run's id are the
// same for all runs of its job.
package traceid

import (
	"crypto/sha256"
	"strconv"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"
)

// OfRun returns the span of a run, which is the root of its trace. The trace's id is the first 16
// bytes of the SHA-256 of the run's id as text, and the span's id is the next 8 bytes:
//
//	printf %s "$RUN_ID" | sha256sum | cut -c1-32
func OfRun(run uuid.UUID) trace.SpanContext {
	sum := sha256.Sum256([]byte(run.String()))
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID(sum[:16]), SpanID: trace.SpanID(sum[16:24]), TraceFlags: trace.FlagsSampled,
	})
}

// OfAttempt returns the span of the attempt that is made under the token of a claim. Whoever has
// the token knows it, so that one instance can begin the attempt and another one end it. The token
// cannot be read from it.
func OfAttempt(run uuid.UUID, token int64) trace.SpanContext {
	sum := sha256.Sum256(strconv.AppendInt([]byte(run.String()+"/"), token, 10))
	return OfRun(run).WithSpanID(trace.SpanID(sum[:8]))
}

// Parent returns a span as the traceparent of W3C Trace Context, for its children.
func Parent(span trace.SpanContext) string {
	return "00-" + span.TraceID().String() + "-" + span.SpanID().String() + "-" + span.TraceFlags().String()
}
