package runs

import (
	"time"

	"punctual/gen/db"
	"punctual/internal/clock"
	"punctual/internal/policy"
)

// computeSchedule computes when the job is due, unless that is known. It fails where what is stored cannot be.
func (o *Outcome) computeSchedule() (err error) {
	if o.when.Grid == nil {
		o.when, err = policy.Schedule(&o.Row.Job)
	}
	return err
}

// goOn fills in what comes next for the job, unless that is decided already.
func (o *Outcome) goOn() {
	switch {
	case o.step != policy.Step{}:
	case o.computeSchedule() != nil:
		o.step = policy.Step{FinalStatus: db.JobStatusPAUSED, StatusReason: "its schedule cannot be computed"}
	default:
		o.step = o.next()
	}
}

// misfire says what becomes of a run that was claimed at now, as planner.Misfire does. What was asked for is not missed, and what a
// worker gave back was leased in time: that is ready since then, and not since its instant.
func (o *Outcome) misfire(now time.Time) *policy.Step {
	row := &o.Row
	if row.Trigger != db.RunTriggerSCHEDULE || row.ReadyAt.After(row.ScheduledFor) {
		return nil
	}
	return policy.Misfire(&row.Job, o.when, row.ScheduledFor, now)
}

func (o *Outcome) next() policy.Step {
	row := &o.Row
	if o.isBeside() {
		return policy.Step{Next: clock.OrZero(row.BufferedFor)} // the schedule goes on elsewhere, or not at all
	}
	began := o.began
	if row.FailedAttempts != nil {
		began = o.started // it has been busy since, if only by waiting for its next attempt
	}
	count := row.RunCount + row.Job.RunCount
	if o.attempt > 0 {
		count++
	}
	return policy.After(&row.Job, o.when, policy.Run{
		// Not what an instance began and died with: that did not execute until others took it over.
		Occurrence: row.ScheduledFor, Started: began, Finished: o.finished,
		Failed: o.status == db.RunStatusFAILED, Count: count, Failures: int(row.Failures),
		RevisedAt: clock.OrZero(row.RevisedAt), BufferedFor: clock.OrZero(row.BufferedFor),
	})
}

// nextQueue returns where what comes next waits for workers; nil: it does not. That was changed where the job was.
func (o *Outcome) nextQueue() *string {
	if o.Row.RevisedAt != nil && o.retryAt.IsZero() {
		return o.Row.Job.Queue
	}
	return o.Row.Queue
}

// revise computes what comes next again, from what has become of the run's row and job since the claim.
func (o *Outcome) revise(now db.ListRevisedRow) {
	row := &o.Row
	row.CarriesSchedule, row.BufferedFor, row.Revision, row.RevisedAt = now.CarriesSchedule, now.BufferedFor, now.Revision, now.RevisedAt
	row.RunCount, row.Failures, row.Job = now.RunCount, now.Failures, now.Job
	before := o.step
	o.when.Grid, o.step, o.split = nil, policy.Step{}, false // whether the schedule goes on elsewhere, the row says by now
	isSkipped := o.status == db.RunStatusSKIPPED
	if row.BufferedFor == nil && (o.isTold || (isSkipped && row.RevisedAt == nil)) {
		o.step = before // or it has stepped over what was missed already
		return
	}
	o.goOn()
	if isSkipped { // what it stands for stays so
		o.step.Skipped, o.step.SkippedFrom = before.Skipped, before.SkippedFrom
	}
}
