package runs

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/executor"
	"punctual/internal/runid"
	"punctual/internal/traceid"
)

// tracer samples all runs or none, and keeps what it is told.
type tracer struct {
	samples bool
	told    []*Traced
}

func (t *tracer) IsSampled(uuid.UUID) bool { return t.samples }
func (t *tracer) Ended(of *Traced)         { t.told = append(t.told, of) }

func traced(samples bool) (Store, *tracer) {
	to := &tracer{samples: samples}
	return Store{Tracer: to, Now: func() time.Time { return at(3) }}, to
}

func TestFailuresAreKept(t *testing.T) {
	t.Parallel()
	failedOnce := func(row *db.Claimed, _ *db.Job) {
		row.Attempt, row.FailedAttempts = 2, failedBefore(t, failedAttempt{Attempt: 1})
	}
	for name, row := range map[string]struct {
		samples bool
		change  func(*db.Claimed, *db.Job)
		err     error
		want    bool
	}{
		"sampled":                     {samples: true, want: true},
		"not sampled":                 {want: false},
		"failed":                      {err: errNoLuck, want: true},
		"succeeded after a failure":   {change: failedOnce, want: true},
		"canceled, and not sampled":   {err: Canceled{Reason: db.RunReasonOVERLAP}, want: false},
		"canceled, and it is sampled": {samples: true, err: Canceled{Reason: db.RunReasonOVERLAP}, want: true},
	} {
		store, _ := traced(row.samples)
		assert.Equal(t, row.want, store.isKept(begin(t, row.change).End(at(2), nil, row.err)), "%s", name)
		noted := begin(t, row.change)
		store.Trace(noted)
		store.Tracer = nil // it is not asked again
		assert.Equal(t, row.want, store.isKept(noted.End(at(2), nil, row.err)), "%s, which was noted", name)
	}
}

func TestTraced(t *testing.T) {
	t.Parallel()
	cause, key := uuid.New(), "a/b"
	a := begin(t, func(row *db.Claimed, job *db.Job) {
		row.Trigger, row.RetryOf, row.CausedBy = db.RunTriggerRETRY, new(at(0.5)), &cause
		job.Namespace, job.Name, job.Key = "payments", "report", &key
	})
	a.claimedAt = at(0.9)
	store, _ := traced(true)
	span := store.SpanOf(a)
	assert.Equal(t, traceid.OfAttempt(a.RunID(), 1), span)
	noted := store.Trace(a)
	noted.Requests = []executor.Request{{Method: "POST"}}
	require.Equal(t, &Traced{
		RunID: a.RunID(), JobID: a.Due.JobID, Namespace: "payments", JobKey: key, JobName: "report", Trigger: db.RunTriggerRETRY,
		ScheduledFor: at(1), Causes: []uuid.UUID{runid.New(a.Due.JobID, at(0.5)), cause},
		Attempt: 1, Span: span, ClaimedAt: at(0.9), Began: at(1), StartedAt: at(1), FinishedAt: at(2), ExecutedBy: "me",
		Requests: noted.Requests, IsOver: false, Status: db.RunStatusFAILED, Error: "no luck",
	}, a.End(at(2), nil, errNoLuck).traced())

	store, _ = traced(false)
	assert.False(t, store.SpanOf(a).IsSampled(), "the target hears that nobody keeps it")
	store.Tracer = nil
	assert.True(t, store.SpanOf(a).IsSampled(), "without traces, who executes the run decides")
}

// TestTracedWithoutAttempt says that a run that is ended without an attempt shows none.
func TestTracedWithoutAttempt(t *testing.T) {
	t.Parallel()
	row := newRow(func(row *db.Claimed, _ *db.Job) { row.CancelReason = new(db.RunReasonOVERLAP) })
	_, ended := newClaimed(row).Prepare(at(1))
	of := ended.traced()
	assert.Zero(t, of.Attempt)
	assert.True(t, of.IsOver)
	assert.Equal(t, db.RunStatusCANCELED, of.Status)
}

func TestTraceLeft(t *testing.T) {
	t.Parallel()
	store, to := traced(false)
	store.TraceLeft(begin(t, nil), context.Canceled)
	require.Len(t, to.told, 1, "it is a failure")
	of := to.told[0]
	assert.Equal(t, 1, of.Attempt)
	assert.False(t, of.IsOver)
	assert.Equal(t, at(3), of.FinishedAt)
	assert.Equal(t, "left to others: context canceled", of.Error)
}
