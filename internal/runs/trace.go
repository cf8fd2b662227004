package runs

import (
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"punctual/gen/db"
	"punctual/internal/executor"
	"punctual/internal/runid"
	"punctual/internal/traceid"
)

// Tracer makes traces of runs. Safe for concurrent use.
type Tracer interface {
	// IsSampled reports whether the trace of a run is kept, whatever becomes of the run. Each
	// instance says the same of a run.
	IsSampled(run uuid.UUID) bool
	// Ended makes the trace of an attempt that has ended, of a run that has, or of both in one. It is
	// told of what is sampled and of failures, and does not block.
	Ended(t *Traced)
}

// Traced is what a trace shows of a run and of its latest attempt. Instants are the database's.
type Traced struct {
	RunID, JobID               uuid.UUID
	Namespace, JobKey, JobName string
	Trigger                    db.RunTrigger
	ScheduledFor               time.Time
	// Causes are the run that this one retries, and the run whose event has started it.
	Causes []uuid.UUID

	// Attempt is the number of the attempt that has ended; 0 if none was made under this claim.
	Attempt int
	// Span is the attempt's span.
	Span trace.SpanContext
	// ClaimedAt is when the run was claimed, for a worker or ahead of its instant, and Began when
	// the attempt began. StartedAt is when the first attempt did, if any.
	ClaimedAt, Began, StartedAt time.Time
	FinishedAt                  time.Time
	ExecutedBy                  string
	Requests                    []executor.Request

	// IsOver is whether the run has ended. If not, another attempt follows.
	IsOver bool
	Status db.RunStatus
	Reason db.RunReason
	Error  string
}

// SpanOf returns the span of an attempt, whether or not there are traces: whoever executes the
// attempt may make one.
func (s Store) SpanOf(a *Attempt) trace.SpanContext {
	span := traceid.OfAttempt(a.RunID(), a.Due.Token)
	if s.Tracer != nil && !s.Tracer.IsSampled(a.RunID()) {
		return span.WithTraceFlags(0)
	}
	return span
}

// Trace returns what notes the requests of an attempt.
func (s Store) Trace(a *Attempt) *executor.Trace {
	a.trace = &executor.Trace{Attempt: s.SpanOf(a), Now: s.Now}
	return a.trace
}

// TraceLeft makes the trace of an attempt that its instance has to leave to others.
func (s Store) TraceLeft(a *Attempt, cause error) {
	if s.Tracer == nil {
		return
	}
	t := (*Ended)(a).traced()
	t.Attempt, t.IsOver = int(a.Due.Attempt), false
	t.FinishedAt, t.Status, t.Error = s.Now(), db.RunStatusFAILED, "left to others"
	if cause != nil {
		t.Error += ": " + cause.Error()
	}
	s.Tracer.Ended(t)
}

// isKept reports whether the trace of how a run ended, or an attempt of it, is kept: because the
// run is sampled, or because an attempt has failed or was lost.
func (s Store) isKept(e *Ended) bool {
	switch {
	case e.status == db.RunStatusFAILED || e.Due.FailedAttempts != nil:
		return true
	case e.trace != nil:
		return e.trace.Attempt.IsSampled()
	default:
		return s.Tracer.IsSampled(e.RunID())
	}
}

// traced returns what a trace shows of how a run, or an attempt of it, ended.
func (e *Ended) traced() *Traced {
	row, job := &e.Due, &e.Job
	t := &Traced{
		RunID: e.RunID(), JobID: row.JobID, Namespace: job.Namespace, JobKey: e.JobKey(), JobName: job.Name,
		Trigger: row.Trigger, ScheduledFor: row.ScheduledFor,
		ClaimedAt: e.claimedAt, Began: e.began, StartedAt: e.started, FinishedAt: e.finished, ExecutedBy: e.Holder,
		IsOver: e.retryAt.IsZero(), Status: e.status, Reason: e.reason, Error: e.error,
	}
	if e.isMade {
		t.Attempt = int(row.Attempt)
	}
	if row.RetryOf != nil {
		t.Causes = append(t.Causes, runid.New(row.JobID, *row.RetryOf))
	}
	if row.CausedBy != nil {
		t.Causes = append(t.Causes, *row.CausedBy)
	}
	t.Span = traceid.OfAttempt(t.RunID, row.Token)
	if e.trace != nil {
		t.Requests = e.trace.Requests
	}
	return t
}
