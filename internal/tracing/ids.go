package tracing

import (
	"context"
	"encoding/binary"
	"math/rand/v2"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

type spanKey struct{}

// withSpan returns a context in which the next span gets the ids of span. A span that is no root
// keeps the id of the trace of its parent. Do not use the context that starting the span returns
// for another one but its child, whose own withSpan it needs.
func withSpan(ctx context.Context, span trace.SpanContext) context.Context {
	return context.WithValue(ctx, spanKey{}, span)
}

// generator gives spans the ids that withSpan says, and random ones to others, as the SDK does.
type generator struct{}

var _ sdktrace.IDGenerator = generator{}

// NewIDs returns the ids of a root.
func (g generator) NewIDs(ctx context.Context) (id trace.TraceID, span trace.SpanID) {
	if given, ok := ctx.Value(spanKey{}).(trace.SpanContext); ok {
		return given.TraceID(), given.SpanID()
	}
	for !id.IsValid() {
		fill(id[:8])
		fill(id[8:])
	}
	return id, g.NewSpanID(ctx, id)
}

// NewSpanID returns the id of a span with a parent.
func (generator) NewSpanID(ctx context.Context, _ trace.TraceID) (span trace.SpanID) {
	if given, ok := ctx.Value(spanKey{}).(trace.SpanContext); ok {
		return given.SpanID()
	}
	for !span.IsValid() {
		fill(span[:])
	}
	return span
}

// fill fills 8 bytes at random.
func fill(id []byte) {
	binary.NativeEndian.PutUint64(id, rand.Uint64()) //nolint:gosec // ids are to be unique, not secret
}
