// Package runs says how a claimed run ends and what comes next for its job, and stores that.
// Whoever executes runs, package poller itself or workers by way of package broker, does it through
// here, so that both mean the same.
//
// The types are the stages of a claimed run, in this order: Store.Open makes Claimed of the rows of
// a claim; Claimed.Prepare turns one into an Attempt, or into an Ended without any; Attempt.End
// makes Ended of the attempt; Store.Save stores Ended.
package runs

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/clock"
	"punctual/internal/executor"
	"punctual/internal/policy"
	"punctual/internal/runid"
	"punctual/internal/schedule"
)

// Claimed is a run that was claimed. It is used by its address: it is large.
type Claimed struct{ run }

// Payload is what the run's target gets: the run's own payload, or that of its job.
func (r *run) Payload() json.RawMessage {
	if r.Due.Payload != nil {
		return r.Due.Payload
	}
	return r.Job.Payload
}

// JobKey is the key of the run's job, or empty if it has none.
func (r *run) JobKey() string {
	if r.Job.Key == nil {
		return ""
	}
	return *r.Job.Key
}

// Attempt is an attempt of a claimed run that is to be made.
type Attempt struct{ run }

// Ended is how an attempt of a claimed run ended, or the run without one. The run itself has ended,
// or is to be tried again.
type Ended struct{ run }

// run is what the stages have in common. A stage is converted to the next one, which is the same
// memory.
type run struct {
	Due db.Claimed
	Job db.Job
	// Holder names who executes the run, as its lease says.
	Holder string

	// claimedAt is when the run was claimed.
	claimedAt time.Time
	// isMade is whether an attempt was made under the claim, and has ended.
	isMade bool
	// trace has the requests of the attempt; nil if there are no traces.
	trace *executor.Trace

	status db.RunStatus
	reason db.RunReason // empty if there is none
	// attempt is the number of the last attempt that was begun; 0 if none was.
	attempt  int16
	started  time.Time // attempt 1
	began    time.Time // the attempt that has ended
	finished time.Time
	error    string
	result   []byte
	// executedBy names who executed the last attempt, if the history keeps that.
	executedBy string
	// jobVersion is the version of the job that the last attempt has executed.
	jobVersion int32
	// when is the job's schedule; without a grid if it was not computed yet.
	when schedule.Schedule
	// isDetached is whether the schedule was detached from the run when it was claimed.
	isDetached bool
	// step is what comes next for the job.
	step policy.Step
	// targetDecided is whether the target has said what comes next, whatever the job says.
	targetDecided bool
	// retryAt is the time of the next attempt, or zero if the run has ended.
	retryAt time.Time
	// failedAttempt is the attempt that is to be tried again, as the history keeps it.
	failedAttempt []byte
	// hasRun is whether the occurrence has a run already, which stays as it is.
	hasRun bool
}

// newClaimed returns a run that was claimed.
func newClaimed(row *db.ClaimRow) *Claimed {
	return &Claimed{run{
		Due: row.Claimed, Job: row.Job, attempt: row.Claimed.Attempt, started: row.Claimed.StartedAt,
		jobVersion: row.Job.Version, claimedAt: row.ReadAt,
	}}
}

// RunID is the run's id.
func (r *run) RunID() uuid.UUID { return runid.New(r.Due.JobID, r.Due.ScheduledFor) }

// Instant is the instant that a target is told: of a run that repeats another, that one's, because
// it is the same work.
func (r *run) Instant() time.Time {
	if r.Due.RetryOf != nil {
		return *r.Due.RetryOf
	}
	return r.Due.ScheduledFor
}

// Prepare decides at now whether an attempt is to be made. Exactly one of its results is not nil.
func (c *Claimed) Prepare(now time.Time) (*Attempt, *Ended) {
	if c.decide(now) {
		return (*Attempt)(c), nil
	}
	return nil, (*Ended)(c)
}

// decide reports whether an attempt is to be made. If not, the run has ended.
func (r *run) decide(now time.Time) bool {
	row, job := &r.Due, &r.Job
	r.finished = clock.Later(now, r.started)
	r.began = r.finished
	err := r.computeSchedule()
	switch {
	case err != nil:
		r.failUnbegun("", err.Error())
	case row.CancelReason != nil:
		r.status, r.reason = db.RunStatusCANCELED, *row.CancelReason
		r.attempt-- // the attempt that the claim has counted was not begun
	case row.Attempt > job.MaxAttempts:
		r.endAsLastAttempt("")
	case job.DeletedAt != nil && row.Attempt == 1:
		r.status, r.reason, r.attempt = db.RunStatusSKIPPED, db.RunReasonJOBDELETED, 0
	case job.DeletedAt != nil:
		r.endAsLastAttempt(db.RunReasonJOBDELETED)
	case row.Attempt == 1 && !r.isOffSchedule():
		step := r.misfire(now)
		if step == nil {
			return true
		}
		if row.BufferedFor != nil {
			step = new(policy.Yield(r.when, row.ScheduledFor, *row.BufferedFor))
		}
		r.status, r.reason, r.attempt, r.step = db.RunStatusSKIPPED, db.RunReasonMISFIRE, 0, *step
	default:
		return true
	}
	r.goOn()
	return false
}

// Begin notes that the attempt begins now.
func (a *Attempt) Begin(now time.Time) {
	if a.attempt == 1 {
		a.started = clock.Later(now, a.Due.StartedAt)
	}
	a.began = clock.Later(now, a.started)
}

// Resume returns the attempt that a worker began when it leased the run, at leasedAt, when the job
// had a version.
func Resume(row *db.ClaimRow, leasedAt time.Time, version int32) *Attempt {
	a := (*Attempt)(newClaimed(row))
	a.jobVersion, a.claimedAt = version, leasedAt
	a.began = clock.Later(leasedAt, a.started)
	return a
}

// Began is when the attempt began.
func (a *Attempt) Began() time.Time { return a.began }
