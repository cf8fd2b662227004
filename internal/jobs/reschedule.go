package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/events"
	"punctual/internal/policy"
)

// reschedule detaches the job from its old schedule and attaches it to that of after, to which it
// copies the counters of the old schedule's row. It returns an Invalid if the new schedule has
// nothing left.
func (e *edit) reschedule(ctx context.Context, after *Definition) error {
	rows, err := e.lockRows(ctx)
	if err != nil {
		return err
	}
	if rows, err = e.reroute(ctx, rows, after); err != nil {
		return err
	}
	isActive := after.Status == db.JobStatusACTIVE
	if isActive && e.job.Status != db.JobStatusACTIVE {
		after.Failures, after.FailingSince = 0, nil // it begins again
	}
	if isActive {
		if carrier := e.carrierOf(rows, after); carrier != nil {
			return e.attachToRun(ctx, carrier, after)
		}
	}
	if e.job.Status == db.JobStatusACTIVE {
		reason := db.RunReasonJOBPAUSED
		if isActive {
			reason = db.RunReasonMISFIRE
		}
		if err := e.detach(ctx, rows, after, reason); err != nil {
			return err
		}
	}
	if !isActive {
		return nil
	}
	next, err := e.first(ctx, after)
	if err != nil {
		if e.isResumed(after) {
			return e.completeResumed(ctx, rows, after)
		}
		return err
	}
	if next.IsZero() {
		return nil // it has no schedule
	}
	err = e.AttachSchedule(ctx, db.AttachScheduleParams{
		JobID: after.ID, ScheduledFor: next, Now: e.now, LastRunAt: after.LastRunAt,
		LastRunFor: after.LastRunFor, LastRunStatus: after.LastRunStatus, Failures: after.Failures,
		ConcurrencyGroup: after.QualifiedGroup, Queue: after.FirstQueue,
	})
	if err != nil {
		return fmt.Errorf("attach the schedule: %w", err)
	}
	return nil
}

// first returns the first occurrence of after, or an Invalid if there is none. An instant that has
// just passed is none if the job has had a run then.
func (e *edit) first(ctx context.Context, after *Definition) (time.Time, error) {
	next, err := first(after, firstSince(after, &e.job, e.passed))
	if err != nil || next.IsZero() || next.After(e.now) {
		return next, err
	}
	stored, err := e.history.ListStored(ctx, db.ListStoredParams{
		JobIds: []uuid.UUID{after.ID}, ScheduledFors: []time.Time{next}, Earliest: next, Latest: next,
	})
	if err != nil {
		return next, fmt.Errorf("look for a run at the first occurrence: %w", err)
	}
	if len(stored) > 0 {
		return next, &Invalid{[]Field{{"runAt", NeverDue, "the job has had a run at this instant"}}}
	}
	return next, nil
}

// attachToRun makes a run in flight carry the schedule of after.
func (e *edit) attachToRun(ctx context.Context, carrier *db.Due, after *Definition) error {
	revisedAt := e.now
	switch next, err := e.first(ctx, after); {
	case err != nil && !e.isResumed(after):
		return err
	case err == nil && !next.After(carrier.ScheduledFor) && !next.After(e.now):
		return &Invalid{[]Field{{"runAt", NeverDue, "must not be before the run that executes"}}}
	case err == nil && !next.After(e.now):
		revisedAt = next.Add(-time.Microsecond) // it has just passed, and is due when the run ends
	}
	if carrier.CarriesSchedule {
		if err := e.recordSkipped(ctx, carrier, e.now, db.RunReasonOVERLAP, nil); err != nil {
			return err
		}
	}
	err := e.AttachScheduleToRun(ctx, db.AttachScheduleToRunParams{
		JobID: carrier.JobID, ScheduledFor: carrier.ScheduledFor, RevisedAt: revisedAt,
	})
	if err != nil {
		return fmt.Errorf("attach the schedule to a run: %w", err)
	}
	return nil
}

// isResumed reports whether a job that was paused goes on with the schedule that it had.
func (e *edit) isResumed(after *Definition) bool {
	before := e.job
	before.Status = after.Status
	return e.job.Status == db.JobStatusPAUSED && after.Status == db.JobStatusACTIVE &&
		!effectOf(&before, after).has(reschedules)
}

// completeResumed completes a job whose last occurrence passed while it was paused: at once, or
// when a run that is still in flight ends.
func (e *edit) completeResumed(ctx context.Context, rows []db.Due, after *Definition) error {
	if open := findLast(rows, isOpenBesidesBackfill(e.now)); open != nil {
		return e.attachToRun(ctx, open, after)
	}
	after.Status, after.StatusReason, after.Failures = db.JobStatusCOMPLETED, nil, e.job.Failures
	return nil
}

// reroute moves the rows that nobody holds to where after is executed: whoever served the old queue
// may be gone. It returns the rows as they are then.
func (e *edit) reroute(ctx context.Context, rows []db.Due, after *Definition) ([]db.Due, error) {
	if !effectOf(&e.job, after).has(reroutes) {
		return rows, nil
	}
	err := e.RerouteWaiting(ctx, db.RerouteWaitingParams{
		JobID: after.ID, Queue: after.FirstQueue, ConcurrencyGroup: after.QualifiedGroup, MaxAttempts: after.MaxAttempts,
	})
	if err != nil {
		return nil, fmt.Errorf("reroute the rows that wait: %w", err)
	}
	return e.lockRows(ctx)
}

// move makes the job be executed elsewhere, at the instants that it has: what was due already stays
// due, and the misfire policy decides about it.
func (e *edit) move(ctx context.Context, after *Definition) error {
	rows, err := e.lockRows(ctx)
	if err != nil {
		return err
	}
	if row := findLast(rows, carriesSchedule); row == nil || row.Attempt > 0 {
		return e.reschedule(ctx, after)
	}
	_, err = e.reroute(ctx, rows, after)
	return err
}

// revise makes the completions of runs in flight compute the next step from the edited job.
func (e *edit) revise(ctx context.Context) error {
	if _, err := e.lockRows(ctx); err != nil {
		return err
	}
	if err := e.RaiseRevisions(ctx, e.job.ID); err != nil {
		return fmt.Errorf("raise the revisions of the job's runs: %w", err)
	}
	return nil
}

// carrierOf returns the row of a run that has to end before the job's schedule may go on, or nil.
func (e *edit) carrierOf(rows []db.Due, after *Definition) *db.Due {
	if policy.MayOverlap(after) || !policy.HasSchedule(after) {
		return nil
	}
	if e.job.Status != db.JobStatusACTIVE || !policy.HasSchedule(&e.job) {
		return findLast(rows, isOpenBesidesBackfill(e.now))
	}
	return findLast(rows, func(row *db.Due) bool {
		wasAskedFor := row.Trigger != db.RunTriggerSCHEDULE || row.BufferedFor != nil
		return row.CarriesSchedule && (row.Attempt > 0 || wasAskedFor || missed(row, &e.job, e.now) == 1)
	})
}

// detach takes the schedule off the job's due row, and copies the row's counters to after. A run
// that has begun, or that somebody asked for, goes on, and ends on its own. An occurrence that
// nobody executes is removed; if it was due already, it is recorded as skipped for the given
// reason.
func (e *edit) detach(ctx context.Context, rows []db.Due, after *Definition, reason db.RunReason) error {
	row := findLast(rows, carriesSchedule)
	if row == nil {
		return nil
	}
	if err := e.DetachSchedule(ctx, e.job.ID); err != nil {
		return fmt.Errorf("detach the schedule: %w", err)
	}
	copyLastRun(after, row)
	after.RunCount += row.RunCount
	skips := missed(row, &e.job, e.now)
	var why *string
	if reason == db.RunReasonJOBPAUSED {
		why = after.StatusReason
	}
	switch {
	case skips == 1 && reason == db.RunReasonMISFIRE:
		after.RunCount++ // due this very moment, which is not missed: it is executed
		return nil
	case row.Attempt > 0 || row.Trigger != db.RunTriggerSCHEDULE:
		after.RunCount++
		return e.recordSkipped(ctx, row, e.now, reason, why)
	}
	if skips > 0 {
		if err := e.createPartition(ctx, row.ScheduledFor); err != nil {
			return err
		}
	}
	dropped, err := e.DropOccurrence(ctx, db.DropOccurrenceParams{JobID: e.job.ID, ScheduledFor: row.ScheduledFor})
	if err != nil {
		return fmt.Errorf("remove the next occurrence: %w", err)
	}
	if dropped > 0 && skips > 0 {
		recorded, err := e.RecordSkipped(ctx, db.RecordSkippedParams{
			JobID: e.job.ID, ScheduledFor: row.ScheduledFor, Reason: &reason, StatusReason: why, Occurrences: toCount(skips),
		})
		if err != nil {
			return fmt.Errorf("record the skipped occurrences: %w", err)
		}
		if recorded > 0 {
			e.tellSkipped(events.Run{ScheduledFor: row.ScheduledFor, Reason: reason, Occurrences: int64(toCount(skips))})
		}
	}
	if row.BufferedFor == nil {
		return nil
	}
	// The run that waited for this one waits no longer.
	return e.StartRun(ctx, db.StartRunParams{
		JobID: e.job.ID, ScheduledFor: *row.BufferedFor, Trigger: bufferedTrigger(row), RetryOf: row.BufferedRetryOf,
		Payload: row.BufferedPayload, CausedBy: row.BufferedCausedBy, EventDepth: row.BufferedEventDepth,
		ConcurrencyGroup: row.ConcurrencyGroup, Queue: row.Queue,
	})
}
