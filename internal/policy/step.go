package policy

import (
	"fmt"
	"math/rand/v2"
	"time"

	"punctual/gen/db"
	"punctual/internal/clock"
	"punctual/internal/schedule"
)

// Step is what a job's schedule does after one occurrence.
type Step struct {
	// Next is the next occurrence to execute; zero if the job leaves ACTIVE.
	Next time.Time
	// Skipped is how many occurrences are not executed, in a row from SkippedFrom on.
	Skipped     int
	SkippedFrom time.Time
	// FinalStatus is the job's status if nothing comes next, and StatusReason why. Empty: the job
	// stays ACTIVE.
	FinalStatus  db.JobStatus
	StatusReason string
}

// Run is what the next step depends on of a run that has ended.
type Run struct {
	Occurrence, Started, Finished time.Time
	Failed                        bool
	// RevisedAt is when the job's schedule was changed while the run was in flight; zero if it was
	// not. Occurrences of the new schedule before that were not missed.
	RevisedAt time.Time
	// BufferedFor is the instant of a run started by hand that waits for the end of this one; zero
	// if there is none.
	BufferedFor time.Time
	// Count is how many runs the job has had, this one included if it was executed.
	Count int64
	// Failures is how many of the runs before this one failed in a row.
	Failures int
}

// After returns the step after a run. It counts from the occurrence, never from when the run
// started, so the schedule does not drift.
func After(job *db.Job, s schedule.Schedule, run Run) Step {
	var step Step
	from := clock.Later(run.Occurrence, run.RevisedAt)
	switch {
	case !run.BufferedFor.IsZero():
		// The schedule goes on after the run that waits, from the end of this run on.
		step.Next = run.BufferedFor
		until := clock.Later(run.BufferedFor, run.Finished)
		if first, ok := s.Next(from); ok && !first.After(until) && !MayOverlap(job) {
			count, _ := s.Between(from, until)
			step.Skipped, step.SkippedFrom = count, first
		}
	case run.Failed && job.PauseAfterFailures != nil && run.Failures+1 >= int(*job.PauseAfterFailures):
		step.FinalStatus, step.StatusReason = db.JobStatusPAUSED, FailedInARow(run.Failures+1)
	case job.MaxRuns != nil && run.Count >= *job.MaxRuns:
		step.FinalStatus = db.JobStatusCOMPLETED
	default:
		step.goOn(s, from)
		step.overlap(job, s, run, from)
	}
	return step
}

// FailedInARow is the reason of a pause after that many failures in a row.
func FailedInARow(failures int) string {
	if failures == 1 {
		return "1 run failed"
	}
	return fmt.Sprintf("%d runs failed in a row", failures)
}

// overlap skips the occurrences that came due during a run that took longer than from one
// occurrence to the next. A run that only started late does not skip any: what came due meanwhile
// is late too, and executed.
func (step *Step) overlap(job *db.Job, s schedule.Schedule, run Run, from time.Time) {
	first := step.Next
	tookTooLong := !first.IsZero() && run.Finished.Sub(run.Started) >= first.Sub(run.Occurrence)
	if !tookTooLong || first.After(run.Finished) || MayOverlap(job) {
		return
	}
	count, last := s.Between(from, run.Finished)
	switch job.OverlapPolicy {
	case db.OverlapPolicyBUFFERONE: // the latest one has waited for the end of the run
		step.Next, step.Skipped = last, count-1
	default:
		step.Skipped = count
		step.goOn(s, last)
	}
	if step.Skipped > 0 {
		step.SkippedFrom = first
	}
}

// goOn makes the first occurrence after t the next one. If there is none, the job has completed.
func (step *Step) goOn(s schedule.Schedule, t time.Time) {
	next, ok := s.Next(t)
	if !ok {
		step.Next, step.FinalStatus = time.Time{}, db.JobStatusCOMPLETED
		return
	}
	step.Next = next
}

// NextWithoutWaiting returns the next occurrence of a job whose runs may overlap: the schedule goes
// on while this occurrence, the job's run number count+1, executes. It returns false if the
// schedule has to wait for the end of the run.
func NextWithoutWaiting(job *db.Job, s schedule.Schedule, occurrence time.Time, count int64) (time.Time, bool) {
	if !MayOverlap(job) || (job.MaxRuns != nil && count+1 >= *job.MaxRuns) {
		return time.Time{}, false
	}
	return s.Next(occurrence)
}

// MayOverlap reports whether a job's next run may start while the one before it executes.
func MayOverlap(job *db.Job) bool {
	return job.OverlapPolicy == db.OverlapPolicyALLOWALL || job.OverlapPolicy == db.OverlapPolicyCANCELOTHER
}

// Backoff returns how long to wait after the failure of an attempt, counted from 1: a random time
// from the job's minimum to a bound. The bound is twice the minimum after attempt 1 and doubles
// with each attempt, up to the job's maximum. A minimum of 0 counts as 1 s for the bound, which
// would otherwise stay 0.
func Backoff(job *db.Job, attempt int) time.Duration {
	least, most := time.Duration(job.MinBackoffSeconds)*time.Second, time.Duration(job.MaxBackoffSeconds)*time.Second
	bound := max(least, time.Second)
	for range attempt {
		if bound = min(2*bound, most); bound == most {
			break
		}
	}
	return least + time.Duration(rand.Int64N(int64(bound-least)+1)) //nolint:gosec // spreading needs no secrecy
}
