package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/clock"
	"punctual/internal/events"
	"punctual/internal/policy"
	"punctual/internal/runid"
)

// start says what run is to be started.
type start struct {
	// trigger is MANUAL, RETRY or EVENT.
	trigger db.RunTrigger
	// payload is that of the run. Nil: it has that of the job.
	payload json.RawMessage
	// causedBy is the run whose event starts this one, and depth how many runs come before it in
	// the chain, with EVENT. Nil: no run, and none.
	causedBy *uuid.UUID
	depth    *int16
	// retryOf is the scheduled_for of the run that is repeated, with RETRY.
	retryOf *time.Time
	// repeated is the run that the request names, with RETRY.
	repeated uuid.UUID
	// policy says what happens if another run of the job is open. Default: the job's.
	policy *db.OverlapPolicy
	// at is when the run is due, with MANUAL. Nil: now.
	at *time.Time
	// unlessSince, with RETRY, says that nothing is to be started if the run was retried from then
	// on.
	unlessSince *time.Time
	// bulk is the bulk change that the start is a part of, or nil.
	bulk *Bulk
}

// StartRun starts a run of a job. A run that may not overlap and may not wait is recorded as
// skipped. It returns ErrNotFound, an Invalid, or a Conflict if the namespace is suspended.
func (s *Service) StartRun(ctx context.Context, by access.Caller, job uuid.UUID, what RunStart) (Run, error) {
	return s.start(ctx, by, job, start{trigger: db.RunTriggerMANUAL, policy: what.OverlapPolicy, payload: what.Payload, at: what.At})
}

// start starts a run, announces it, and returns it as it is then.
func (s *Service) start(ctx context.Context, by access.Caller, job uuid.UUID, what start) (Run, error) {
	at, err := s.begin(ctx, by, job, what)
	if err != nil {
		return Run{}, err
	}
	run, err := s.GetRun(ctx, by, runid.New(job, at))
	if err == ErrRunNotFound { //nolint:errorlint // it is never wrapped
		// It has succeeded already and its job keeps failures only, or its instant is a moment
		// ahead.
		return Run{
			JobID: job, ScheduledFor: at, Status: "PENDING", Trigger: what.trigger, RetryOf: what.retryOf, Occurrences: 1,
			Payload: what.payload,
		}, nil
	}
	return run, err
}

// begin starts a run and announces it. It returns the run's instant.
func (s *Service) begin(ctx context.Context, by access.Caller, job uuid.UUID, what start) (at time.Time, err error) {
	if err := mayBegin(by); err != nil {
		return at, err
	}
	var canceled []uuid.UUID
	var queue *string
	err = s.edit(ctx, by, job, func(e edit) (err error) {
		queue, e.bulk = e.job.FirstQueue, what.bulk
		if err := e.checkFilter(); err != nil {
			return err
		}
		if what.unlessSince != nil {
			if err := e.checkNotRetried(ctx, what); err != nil {
				return err
			}
		}
		if at, canceled, err = e.start(ctx, what); err != nil {
			return err
		}
		return e.auditStart(ctx, what, runid.New(job, at))
	})
	if err != nil {
		return at, err
	}
	s.announce(queue, at)
	s.announceCanceled(ctx, canceled, db.RunReasonOVERLAP)
	return at, nil
}

// start starts a run in the transaction, and returns its instant and the runs that it canceled.
func (e *edit) start(ctx context.Context, what start) (at time.Time, canceled []uuid.UUID, err error) {
	overlap := e.overlapOf(what)
	later, err := e.laterInstant(what)
	if err != nil {
		return at, nil, err
	}
	if !later.IsZero() || (overlap == db.OverlapPolicyALLOWALL && !policy.HasSchedule(&e.job)) {
		at, err = e.startBeside(ctx, what, later)
		return at, nil, err
	}
	rows, err := e.lockRows(ctx)
	if err != nil {
		return at, nil, err
	}
	open := openRunOf(rows, e.now)
	mayOverlap := overlap == db.OverlapPolicyALLOWALL || policy.MayOverlap(&e.job)
	from := e.now
	if open != nil && !mayOverlap && overlap != db.OverlapPolicySKIP {
		// The schedule goes on behind this run, and must not come back to what is claimed ahead.
		from = clock.Later(from, open.ScheduledFor.Add(time.Microsecond))
	}
	if at, err = e.firstFreeInstant(ctx, rows, from); err != nil {
		return at, nil, err
	}
	switch {
	case open == nil || overlap == db.OverlapPolicyALLOWALL:
	case overlap == db.OverlapPolicyCANCELOTHER:
		if canceled, err = e.cancelOthers(ctx, rows, at); err != nil {
			return at, nil, err
		}
	case overlap == db.OverlapPolicyBUFFERONE && open.BufferedFor == nil:
		return at, nil, e.BufferRun(ctx, db.BufferRunParams{
			JobID: e.job.ID, ScheduledFor: open.ScheduledFor, BufferedFor: &at, Trigger: what.trigger, RetryOf: what.retryOf,
			Payload: what.payload, CausedBy: what.causedBy, EventDepth: what.depth,
		})
	default:
		if err := e.createPartition(ctx, at); err != nil {
			return at, nil, err
		}
		err = e.SkipRun(ctx, db.SkipRunParams{
			JobID: e.job.ID, ScheduledFor: at, Trigger: what.trigger, RetryOf: what.retryOf,
			Payload: what.payload, CausedBy: what.causedBy, Reason: new(db.RunReasonOVERLAP),
		})
		if err == nil {
			e.tellSkipped(events.Run{ScheduledFor: at, Reason: db.RunReasonOVERLAP, Trigger: what.trigger, Depth: what.depth})
		}
		return at, nil, err
	}
	return at, canceled, e.addRun(ctx, rows, what, mayOverlap, from, at)
}

// addRun stores a run that is to be executed, in a row of its own or in that of the schedule.
func (e *edit) addRun(ctx context.Context, rows []db.Due, what start, mayOverlap bool, from, at time.Time) error {
	switch carrier := findLast(rows, carriesSchedule); {
	case mayOverlap || carrier == nil:
		return e.addBeside(ctx, what, at)
	case isOpen(carrier, from):
		// The schedule goes on behind this run, and not from where the other one left it.
		if err := e.recordSkipped(ctx, carrier, at, db.RunReasonOVERLAP, nil); err != nil {
			return err
		}
		return e.StartRunWithSchedule(ctx, db.StartRunWithScheduleParams{
			JobID: e.job.ID, ScheduledFor: at, Trigger: what.trigger, RetryOf: what.retryOf,
			Payload: what.payload, CausedBy: what.causedBy, EventDepth: what.depth,
			ConcurrencyGroup: e.job.QualifiedGroup, Queue: e.job.FirstQueue,
		})
	default:
		return e.StartRunBeforeNext(ctx, db.StartRunBeforeNextParams{
			JobID: e.job.ID, ScheduledFor: at, Trigger: what.trigger, RetryOf: what.retryOf,
			Payload: what.payload, CausedBy: what.causedBy, EventDepth: what.depth,
		})
	}
}

// openRunOf returns the row of an open run, preferably the one that carries the schedule, or nil.
func openRunOf(rows []db.Due, now time.Time) *db.Due {
	if row := findLast(rows, carriesSchedule); row != nil && isOpen(row, now) {
		return row
	}
	return findLast(rows, func(row *db.Due) bool { return isOpen(row, now) })
}

// firstFreeInstant returns the first instant from one on that no run of the job has: it names the
// run. A run that has ended may have it: one that was to follow a run claimed ahead, and was
// canceled.
func (e *edit) firstFreeInstant(ctx context.Context, rows []db.Due, from time.Time) (time.Time, error) {
	for ; ; from = from.Add(time.Microsecond) {
		if slices.ContainsFunc(rows, func(row db.Due) bool {
			return row.ScheduledFor.Equal(from) || (row.BufferedFor != nil && row.BufferedFor.Equal(from))
		}) {
			continue
		}
		stored, err := e.history.ListStored(ctx, db.ListStoredParams{
			JobIds: []uuid.UUID{e.job.ID}, ScheduledFors: []time.Time{from}, Earliest: from, Latest: from,
		})
		if err != nil {
			return from, fmt.Errorf("look for a run at the same instant: %w", err)
		}
		if len(stored) == 0 {
			return from, nil
		}
	}
}

// bufferedTrigger returns why there is a run that waits for the end of another.
func bufferedTrigger(row *db.Due) db.RunTrigger {
	if row.BufferedTrigger == nil {
		return db.RunTriggerMANUAL
	}
	return *row.BufferedTrigger
}

// cancelOthers cancels the open runs of the job, and those that wait for them, and returns their
// ids.
func (e *edit) cancelOthers(ctx context.Context, rows []db.Due, before time.Time) (ids []uuid.UUID, err error) {
	var scheduledFors []time.Time
	for i := range rows {
		row := &rows[i]
		if row.BufferedFor != nil {
			if err := e.dropBuffered(ctx, row, db.RunStatusCANCELED, db.RunReasonOVERLAP); err != nil {
				return nil, err
			}
		}
		if row.CancelReason == nil && row.ScheduledFor.Before(before) && isOpenBesidesBackfill(before)(row) {
			scheduledFors = append(scheduledFors, row.ScheduledFor)
			ids = append(ids, runid.New(row.JobID, row.ScheduledFor))
		}
	}
	err = e.CancelRuns(ctx, db.CancelRunsParams{
		JobID: e.job.ID, ScheduledFors: scheduledFors, Reason: db.RunReasonOVERLAP,
	})
	if err != nil {
		return nil, fmt.Errorf("cancel the other runs: %w", err)
	}
	return ids, nil
}

// dropBuffered ends the run that waits for the end of another.
func (e *edit) dropBuffered(ctx context.Context, row *db.Due, status db.RunStatus, reason db.RunReason) error {
	if err := e.createPartition(ctx, *row.BufferedFor); err != nil {
		return err
	}
	err := e.DropBuffered(ctx, db.DropBufferedParams{
		JobID: row.JobID, BufferedFor: row.BufferedFor, Status: status, Reason: reason,
	})
	if err != nil {
		return fmt.Errorf("end a run that waits: %w", err)
	}
	if status == db.RunStatusSKIPPED {
		e.tellSkipped(events.Run{
			ScheduledFor: *row.BufferedFor, Reason: reason, Trigger: bufferedTrigger(row), Depth: row.BufferedEventDepth,
		})
		return nil
	}
	e.noteEnd(events.Run{
		ID: runid.New(row.JobID, *row.BufferedFor), Status: status, Reason: reason, Trigger: bufferedTrigger(row),
		ScheduledFor: *row.BufferedFor, FinishedAt: e.now, Occurrences: 1,
	})
	return nil
}
