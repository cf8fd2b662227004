package runs

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/clock"
	"punctual/internal/database"
	"punctual/internal/events"
	"punctual/internal/executor"
	"punctual/internal/history"
	"punctual/internal/runid"
)

// happened is what the completion of a batch means for others.
type happened struct {
	events []events.Event
	// of has the run of each event, by which it is known whether that is stored.
	of []key
	// skipped are the runs that stand for occurrences that were skipped during another, by the
	// index of their event. They are stored only if there is no other run of the instant.
	skipped map[int]*Ended
	// starts is whether an event starts a job. Then it is told in the transaction of the
	// completion.
	starts  bool
	watched watched
}

// happened returns what the completion of a batch means, of what somebody wants to know. It makes
// nothing, and asks nobody, where nobody does.
func (s Store) happened(ctx context.Context, batch []*Ended) (all happened, err error) {
	var namespace string
	var wanted events.Set
	for _, e := range batch {
		if e.Job.Namespace != namespace {
			namespace = e.Job.Namespace
			if wanted, err = s.Events.Wanted(ctx, namespace); err != nil {
				return all, err
			}
		}
		if wanted != 0 {
			all.add(e, wanted)
		}
		all.watched.add(e, wanted)
	}
	all.starts, err = s.Events.Starts(ctx, all.events...)
	return all, err
}

// add adds what the completion of a run means, of the types of events that are wanted.
func (all *happened) add(e *Ended, wanted events.Set) {
	tell := func(kind events.Type, event func() events.Event) {
		if wanted.Has(kind) {
			all.events, all.of = append(all.events, event()), append(all.of, keyOf(e.Due.JobID, e.Due.ScheduledFor))
		}
	}
	ofRun := func(kind events.Type) {
		tell(kind, func() events.Event { return events.OfRun(kind, &e.Job, e.told()) })
	}
	switch e.status {
	case db.RunStatusSUCCEEDED:
		ofRun(events.RunSucceeded)
	case db.RunStatusFAILED:
		ofRun(events.RunFailed)
	case db.RunStatusSKIPPED:
		ofRun(events.RunSkipped)
	default: // somebody has canceled it, and knows
	}
	if e.isLate() {
		ofRun(events.RunLate)
	}
	if e.skippedBehindIt() > 0 && wanted.Has(events.RunSkipped) {
		if all.skipped == nil {
			all.skipped = map[int]*Ended{}
		}
		all.skipped[len(all.events)] = e
		tell(events.RunSkipped, func() events.Event { return events.OfRun(events.RunSkipped, &e.Job, e.skippedBehind()) })
	}
	if e.isOffSchedule() {
		return // Jobs tells of what it changes
	}
	switch e.step.FinalStatus {
	case db.JobStatusPAUSED:
		tell(events.JobPaused, func() events.Event { return e.ofJob(events.JobPaused, e.failuresNow()) })
	case db.JobStatusCOMPLETED:
		tell(events.JobCompleted, func() events.Event { return e.ofJob(events.JobCompleted, e.failuresNow()) })
	default: // it goes on
	}
}

// told returns the run as events tell of it.
func (e *Ended) told() events.Run {
	run := events.Run{
		ID: e.RunID(), Status: e.status, Reason: e.reason, Trigger: e.Due.Trigger, ScheduledFor: e.Due.ScheduledFor,
		FinishedAt: e.finished, Attempt: e.attempt, Occurrences: int64(e.occurrences()), Error: e.error, Depth: e.Due.EventDepth,
	}
	if e.attempt > 0 {
		run.StartedAt = e.started
	}
	if e.Due.HeldUntil != nil {
		run.HeldUntil = *e.Due.HeldUntil
	}
	return run
}

// skippedBehind returns the run that stands for the occurrences that were skipped during this one.
func (e *Ended) skippedBehind() events.Run {
	return events.Run{
		ID: runid.New(e.Due.JobID, e.step.SkippedFrom), Status: db.RunStatusSKIPPED, Reason: db.RunReasonOVERLAP,
		Trigger: db.RunTriggerSCHEDULE, ScheduledFor: e.step.SkippedFrom, FinishedAt: e.finished, Occurrences: int64(e.step.Skipped),
		Depth: e.Due.EventDepth,
	}
}

// observe tells who looks on that a run has ended, and that occurrences were skipped during it.
func (s Store) observe(e *Ended) {
	if s.Observe == nil {
		return
	}
	target := executor.TypeOf(e.Job.Target)
	s.Observe(&e.Job, target, e.told())
	if e.skippedBehindIt() > 0 {
		s.Observe(&e.Job, target, e.skippedBehind())
	}
}

// failuresNow returns how many of the job's latest runs failed in a row, this one included.
func (e *Ended) failuresNow() int32 {
	if e.status != db.RunStatusFAILED {
		return 0
	}
	return int32(e.failures()) + 1
}

// ofJob returns what the end of the run means for its job, of which so many runs have failed in a
// row.
func (e *Ended) ofJob(kind events.Type, failures int32) events.Event {
	change := events.Change{At: e.finished, Run: new(e.told()), ConsecutiveFailures: failures}
	if kind == events.JobPaused {
		change.StatusReason, change.Actor = &e.step.StatusReason, new("system")
	}
	return events.OfJob(kind, &e.Job, change)
}

// isLate reports whether the run started later than its job allows after it might start. Of a run
// that was tried again the row does not say when that was; then it was its instant, unless it had
// to wait for a limit of its connection, or was backfilled. Being held by a blackout is not late.
func (e *Ended) isLate() bool {
	row := &e.Due
	if e.Job.LateAfterSeconds == nil || e.attempt == 0 {
		return false
	}
	from := row.ReadyAt
	if row.Attempt > 1 {
		if row.Trigger == db.RunTriggerBACKFILL || (row.Queue != nil && access.IsConnection(*row.Queue)) {
			return false
		}
		from = row.ScheduledFor
	}
	if held := row.HeldUntil; held != nil && !e.started.Before(*held) {
		from = clock.Later(from, *held) // a blackout held it, or an occurrence that it stands for
	}
	return e.started.Sub(from) > time.Duration(*e.Job.LateAfterSeconds)*time.Second
}

// completeAndTell completes runs. If that starts jobs, or if something is to be noted of the jobs
// of the runs, this is done in the same transaction.
func (s Store) completeAndTell(
	ctx context.Context, batch []*Ended, params db.CompleteParams, all *happened,
) (rows []db.CompleteRow, err error) {
	committed := func() {}
	err = database.Transact(ctx, s.Pool, func(tx *database.Tx) (err error) {
		q, later := db.New(tx), db.New(tx.Later())
		if err := all.watched.lock(ctx, later, batch); err != nil {
			return fmt.Errorf("lock the jobs of runs: %w", err)
		}
		if rows, err = q.Complete(ctx, params); err != nil {
			return err
		}
		records, err := recordsOf(batch, rows)
		if err != nil {
			return err
		}
		if err := records.store(ctx, later); err != nil {
			return err
		}
		if !all.starts && all.watched.isEmpty() {
			if len(all.events) > 0 {
				committed = func() { s.Events.Publish(all.stored(storedKeys(rows))...) }
			}
			return nil
		}
		if err := all.findSkipped(ctx, tx); err != nil {
			return err
		}
		stored := storedKeys(rows)
		noted, err := all.watched.note(ctx, q, stored)
		if err != nil {
			return fmt.Errorf("note what has become of jobs: %w", err)
		}
		committed, err = s.Events.Tell(ctx, q, append(all.stored(stored), noted...)...)
		return err
	})
	if err != nil {
		return nil, err
	}
	committed()
	return rows, nil
}

// findSkipped forgets the events of skipped occurrences that a completion did not store, because
// they have another run.
func (all *happened) findSkipped(ctx context.Context, tx db.DBTX) error {
	if len(all.skipped) == 0 {
		return nil
	}
	var jobs []uuid.UUID
	var instants []time.Time
	for _, e := range all.skipped {
		jobs, instants = append(jobs, e.Due.JobID), append(instants, e.step.SkippedFrom)
	}
	ends, err := history.ListEnds(ctx, tx, jobs, instants)
	if err != nil {
		return err
	}
	finished := make(map[key]int64, len(ends))
	for i := range ends {
		finished[keyOf(ends[i].JobID, ends[i].ScheduledFor)] = ends[i].FinishedAt.UnixMicro()
	}
	for i, e := range all.skipped {
		if finished[keyOf(e.Due.JobID, e.step.SkippedFrom)] != e.finished.UnixMicro() {
			all.of[i] = key{} // of no run
		}
	}
	return nil
}

// storedKeys returns the keys of the runs that a completion has stored.
func storedKeys(rows []db.CompleteRow) map[key]bool {
	return keysOf(rows, func(r db.CompleteRow) key { return keyOf(r.JobID, r.ScheduledFor) })
}

// stored returns the events of the runs that a completion has stored.
func (all *happened) stored(stored map[key]bool) []events.Event {
	told := make([]events.Event, 0, len(all.events))
	for i, e := range all.events {
		if stored[all.of[i]] {
			told = append(told, e)
		}
	}
	return told
}
