package tracing

import (
	"context"
	"net"
	"strconv"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.39.0"
	"go.opentelemetry.io/otel/trace"

	"punctual/gen/db"
	"punctual/internal/executor"
	"punctual/internal/runs"
	"punctual/internal/traceid"
)

// ofRuns makes the traces of runs. All spans are made when an attempt has ended and is stored. Then
// it is known whether it failed, so that failures are kept even if they were not sampled.
type ofRuns struct {
	// deciding samples as the environment says, and exports nothing. keeping exports all that it is
	// told.
	deciding, keeping trace.Tracer
}

var _ runs.Tracer = (*ofRuns)(nil)

// IsSampled asks the sampler of the environment, as if the run were a request that no other
// service has sent.
func (r *ofRuns) IsSampled(run uuid.UUID) bool {
	_, span := r.deciding.Start(withSpan(context.Background(), traceid.OfRun(run)), "run", trace.WithNewRoot())
	return span.SpanContext().IsSampled()
}

// Ended makes the spans of an attempt, and of its run if that is over.
func (r *ofRuns) Ended(t *runs.Traced) {
	if t.Attempt > 0 {
		r.attempt(t)
	}
	if t.IsOver {
		r.run(t)
	}
}

// run makes the root of a run's trace. It begins when the run was due, so that it shows the run's
// lateness. A run that was backfilled is late on purpose, perhaps by months, so its root begins
// with what was done for it.
func (r *ofRuns) run(t *runs.Traced) {
	began := t.ScheduledFor
	if t.Trigger == db.RunTriggerBACKFILL {
		began = t.ClaimedAt
		if !t.StartedAt.IsZero() {
			began = t.StartedAt
		}
	}
	var links []trace.Link
	for _, cause := range t.Causes {
		links = append(links, trace.Link{SpanContext: traceid.OfRun(cause)})
	}
	attributes := append(about(t),
		attribute.String("punctual.run.trigger", string(t.Trigger)), attribute.String("punctual.run.status", string(t.Status)))
	if t.Reason != "" {
		attributes = append(attributes, attribute.String("punctual.run.reason", string(t.Reason)))
	}
	_, span := r.keeping.Start(withSpan(context.Background(), traceid.OfRun(t.RunID)), "run",
		trace.WithNewRoot(), trace.WithTimestamp(began), trace.WithLinks(links...), trace.WithAttributes(attributes...))
	end(span, t)
}

// attempt makes the spans of an attempt: how long the run was claimed before, the attempt, and each
// of its requests.
func (r *ofRuns) attempt(t *runs.Traced) {
	root := trace.ContextWithSpanContext(context.Background(), traceid.OfRun(t.RunID))
	number := attribute.Int("punctual.run.attempt", t.Attempt)
	if t.ClaimedAt.Before(t.Began) {
		_, claimed := r.keeping.Start(root, "claimed", trace.WithTimestamp(t.ClaimedAt), trace.WithAttributes(number))
		claimed.End(trace.WithTimestamp(t.Began))
	}
	ctx, span := r.keeping.Start(withSpan(root, t.Span), "attempt", trace.WithTimestamp(t.Began),
		trace.WithAttributes(append(about(t), number, attribute.String("punctual.run.executed_by", t.ExecutedBy))...))
	for i := range t.Requests {
		r.request(ctx, &t.Requests[i], i)
	}
	end(span, t)
}

// request makes the span of a request that an attempt has sent, after so many others.
func (r *ofRuns) request(ctx context.Context, q *executor.Request, before int) {
	attributes := []attribute.KeyValue{semconv.HTTPRequestMethodKey.String(q.Method)}
	host, port, err := net.SplitHostPort(q.Host)
	if err != nil {
		host = q.Host
	}
	attributes = append(attributes, semconv.ServerAddress(host))
	if number, err := strconv.Atoi(port); err == nil {
		attributes = append(attributes, semconv.ServerPort(number))
	}
	if before > 0 {
		attributes = append(attributes, semconv.HTTPRequestResendCount(before))
	}
	if q.StatusCode != 0 {
		attributes = append(attributes, semconv.HTTPResponseStatusCode(q.StatusCode))
	}
	_, span := r.keeping.Start(withSpan(ctx, q.Span), q.Method,
		trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(q.Began), trace.WithAttributes(attributes...))
	if q.StatusCode == 0 || q.StatusCode >= 400 {
		span.SetStatus(codes.Error, "") // why, the attempt says
	}
	span.End(trace.WithTimestamp(q.Ended))
}

// about says which run it is.
func about(t *runs.Traced) []attribute.KeyValue {
	attributes := []attribute.KeyValue{
		attribute.String("punctual.namespace", t.Namespace), attribute.String("punctual.job.id", t.JobID.String()),
		attribute.String("punctual.job.name", t.JobName), attribute.String("punctual.run.id", t.RunID.String()),
	}
	if t.JobKey != "" {
		attributes = append(attributes, attribute.String("punctual.job.key", t.JobKey))
	}
	return attributes
}

// end ends the span of a run or of an attempt.
func end(span trace.Span, t *runs.Traced) {
	if t.Status == db.RunStatusFAILED {
		span.SetStatus(codes.Error, t.Error)
	}
	span.End(trace.WithTimestamp(t.FinishedAt))
}
