package api

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"github.com/google/uuid"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"punctual/internal/logging"
	"punctual/internal/traceid"
)

// traceRequests makes a span of each request for an operation of the contract, named by its method
// and its path there. Probes have none, as there are many of them. Who has sent the request may say
// in a traceparent of which trace it is a part.
func traceRequests(provider trace.TracerProvider) func(http.Handler) http.Handler {
	span := otelhttp.NewMiddleware("", otelhttp.WithTracerProvider(provider), otelhttp.WithMeterProvider(noop.NewMeterProvider()),
		otelhttp.WithPropagators(propagation.TraceContext{}),
		otelhttp.WithFilter(func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/api/") }))
	return func(next http.Handler) http.Handler {
		return span(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			span := trace.SpanFromContext(r.Context())
			if !span.SpanContext().IsValid() {
				next.ServeHTTP(w, r)
				return
			}
			ctx := logging.With(r.Context(), slog.String("traceId", span.SpanContext().TraceID().String()))
			// It is routed somewhere within next. The span gets its name from r.
			defer func() {
				r.Pattern = patternOf(r)
				span.SetAttributes(attribute.String("http.route", r.Pattern), attribute.String("punctual.request.id", requestID(ctx)))
			}()
			next.ServeHTTP(w, r.WithContext(ctx))
		}))
	}
}

// linkRun links the span of a request with the trace of the run that it has started.
func linkRun(ctx context.Context, run uuid.UUID) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.AddLink(trace.Link{SpanContext: traceid.OfRun(run)})
	}
}
