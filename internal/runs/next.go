package runs

import (
	"cmp"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"punctual/gen/db"
	"punctual/internal/clock"
	"punctual/internal/policy"
)

// isOffSchedule reports whether the run's row does not carry its job's schedule: the run does not
// decide what comes next for the job, and the statement that completes it does not end the
// schedule.
func (r *run) isOffSchedule() bool { return !r.Due.CarriesSchedule || r.isDetached }

// computeSchedule computes when the job is due, unless that is known. It fails if what is stored
// cannot be computed.
func (r *run) computeSchedule() (err error) {
	if r.when.Grid == nil {
		r.when, err = policy.Schedule(&r.Job)
	}
	return err
}

// goOn fills in what comes next for the job, unless that is decided already.
func (r *run) goOn() {
	switch {
	case r.step != policy.Step{}:
	case r.computeSchedule() != nil:
		r.step = policy.Step{FinalStatus: db.JobStatusPAUSED, StatusReason: "its schedule cannot be computed"}
	default:
		r.step = r.next()
	}
}

// misfire returns what policy.Misfire says of a run that was claimed at now. Only scheduled runs
// can misfire. A run that a worker gave back was on time once; its ready_at tells, which is later
// than its instant. So is that of a run that a blackout held, which was not on time.
func (r *run) misfire(now time.Time) *policy.Step {
	row := &r.Due
	if row.Trigger != db.RunTriggerSCHEDULE || row.ReadyAt.After(row.ScheduledFor) && !isHeld(row) {
		return nil
	}
	return policy.Misfire(&r.Job, r.when, row.ScheduledFor, now)
}

// isHeld reports whether a run was put back because of a blackout, and not touched since then.
func isHeld(row *db.Claimed) bool { return row.HeldUntil != nil && row.HeldUntil.Equal(row.ReadyAt) }

func (r *run) next() policy.Step {
	row := &r.Due
	if r.isOffSchedule() {
		return policy.Step{Next: clock.OrZero(row.BufferedFor)} // the schedule goes on elsewhere, or not at all
	}
	began := r.began
	if hasFailed(row.FailedAttempts) {
		began = r.started // the run has taken since then, if only to wait for its next attempt
	}
	count := row.RunCount + r.Job.RunCount
	if r.attempt > 0 {
		count++
	}
	return policy.After(&r.Job, r.when, policy.Run{
		Occurrence: row.ScheduledFor, Started: began, Finished: r.finished,
		Failed: r.status == db.RunStatusFAILED, Count: count, Failures: int(r.failures()),
		RevisedAt: clock.OrZero(row.RevisedAt), BufferedFor: clock.OrZero(row.BufferedFor),
	})
}

// failures returns how many runs of the job before this one failed in a row. The job knows, and not
// the row, if a later run has ended off the schedule, or an earlier one since.
func (r *run) failures() int16 {
	if last := r.Due.LastRunFor; r.Job.LastRunFor != nil && (!last.Valid || !last.Time.After(*r.Job.LastRunFor)) {
		return r.Job.Failures
	}
	return r.Due.Failures
}

// nextQueue returns the queue of the next occurrence or attempt, or nil if instances claim it at
// once. If the job was edited meanwhile, its new queue counts.
func (e *Ended) nextQueue() *string {
	if e.Due.RevisedAt != nil && e.retryAt.IsZero() {
		return e.Job.FirstQueue
	}
	return firstQueue(&e.Due)
}

// firstQueue returns the queue in which a claimed row has waited first, or nil if instances claim
// it at once. A run for a worker has moved on from its group's queue.
func firstQueue(due *db.Claimed) *string { return cmp.Or(due.ConcurrencyGroup, due.Queue) }

// revise computes what comes next again, from what has become of the run's row and job since the
// claim.
func (e *Ended) revise(now *db.ListRevisedRow) {
	row := &e.Due
	row.CarriesSchedule, row.BufferedFor, row.Revision, row.RevisedAt = now.CarriesSchedule, now.BufferedFor, now.Revision, now.RevisedAt
	row.RunCount, row.Failures, e.Job = now.RunCount, now.Failures, now.Job
	row.LastRunFor = pgtype.Timestamptz{Time: clock.OrZero(now.LastRunFor), Valid: now.LastRunFor != nil}
	before := e.step
	// Whether the schedule goes on elsewhere, the row says by now.
	e.when.Grid, e.step, e.isDetached = nil, policy.Step{}, false
	isSkipped := e.status == db.RunStatusSKIPPED
	if row.BufferedFor == nil && (e.targetDecided || (isSkipped && row.RevisedAt == nil)) {
		e.step = before // the target's word counts, and a misfire was stepped over already
		return
	}
	e.goOn()
	if isSkipped { // the run stands for the same occurrences as before
		e.step.Skipped, e.step.SkippedFrom = before.Skipped, before.SkippedFrom
	}
}
