package policy

import (
	"fmt"
	"math/rand/v2"
	"time"

	"punctual/gen/db"
	"punctual/internal/clock"
	"punctual/internal/schedule"
)

// misfireAfter is how late an occurrence may start and still be executed for its own sake. One that would be later was
// missed, and the job's misfire policy says what becomes of it.
const misfireAfter = time.Minute

// Step is where a job's schedule goes from one occurrence.
type Step struct {
	// Next is the next occurrence to execute; zero where the job rests.
	Next time.Time
	// Passed is how many occurrences are not executed, in a row from PassedFrom on.
	Passed     int
	PassedFrom time.Time
	// Rest is the status of the job from now on, and Reason why, where nothing comes next.
	Rest   db.JobStatus
	Reason string
}

// Misfire says what becomes of an occurrence that was claimed at now: nil when it is to be executed; else it is passed
// over, as the first of Step.Passed.
func Misfire(job *db.Job, s schedule.Schedule, occurrence, now time.Time) *Step {
	if now.Sub(occurrence) <= misfireAfter {
		return nil
	}
	// What is missed ends here; what is later is only late.
	missedUntil := now.Add(-misfireAfter)
	window := time.Time{} // what is older is not caught up
	if job.CatchupWindowSeconds != nil {
		window = now.Add(-time.Duration(*job.CatchupWindowSeconds) * time.Second)
	}
	switch job.MisfirePolicy {
	case db.MisfirePolicyFIREALL:
		if !occurrence.Before(window) {
			return nil
		}
		return pass(s, occurrence, clock.Earlier(window.Add(-1), missedUntil))
	case db.MisfirePolicyFIREONCE:
		count, last := s.Between(occurrence, now)
		switch {
		case count == 0 && !occurrence.Before(window):
			return nil // the one for all
		case count == 0 || last.Before(window):
			return pass(s, occurrence, missedUntil)
		}
		return &Step{Next: last, Passed: count, PassedFrom: occurrence}
	default:
		return pass(s, occurrence, missedUntil)
	}
}

// Yield steps over an occurrence that was missed, and what is due until a run that was asked for and waits for it, to that.
func Yield(s schedule.Schedule, occurrence, bufferedFor time.Time) Step {
	count, _ := s.Between(occurrence, bufferedFor)
	return Step{Next: bufferedFor, Passed: 1 + count, PassedFrom: occurrence}
}

// pass steps over an occurrence and all after it until an instant.
func pass(s schedule.Schedule, occurrence, until time.Time) *Step {
	count, last := s.Between(occurrence, until)
	step := Step{Passed: 1 + count, PassedFrom: occurrence}
	if count > 0 {
		occurrence = last
	}
	step.goOn(s, occurrence)
	return &step
}

// Run is what the next step depends on of a run that has ended.
type Run struct {
	Occurrence, Started, Finished time.Time
	Failed                        bool
	// RevisedAt is when the job's schedule was changed while the run was in flight; zero: it was not. What the new one
	// says of the time before is nothing that was missed.
	RevisedAt time.Time
	// BufferedFor is when a run was asked for that waits for the end of this one; zero: none.
	BufferedFor time.Time
	// Count is how many runs the job has had, this one too where it was executed, and Failures how many of those before it failed in a row.
	Count    int64
	Failures int
}

// After returns the step after a run. It comes from the occurrence, never from when that ran, so the schedule does not
// drift.
func After(job *db.Job, s schedule.Schedule, run Run) Step {
	var step Step
	from := clock.Later(run.Occurrence, run.RevisedAt)
	switch {
	case !run.BufferedFor.IsZero():
		// Whatever else is next comes after it, from the end of this run on.
		step.Next = run.BufferedFor
		until := clock.Later(run.BufferedFor, run.Finished)
		if first, ok := s.Next(from); ok && !first.After(until) && !MayOverlap(job) {
			count, _ := s.Between(from, until)
			step.Passed, step.PassedFrom = count, first
		}
	case run.Failed && job.PauseAfterFailures != nil && run.Failures+1 >= int(*job.PauseAfterFailures):
		step.Rest, step.Reason = db.JobStatusPAUSED, fmt.Sprintf("%d runs failed in a row", run.Failures+1)
	case job.MaxRuns != nil && run.Count >= *job.MaxRuns:
		step.Rest = db.JobStatusCOMPLETED
	default:
		step.goOn(s, from)
		step.overlap(job, s, run, from)
	}
	return step
}

// overlap steps over what came due while a run executed that took longer than from one occurrence to the next. A run that
// only began late is no reason: what came due meanwhile is late too, and executed.
func (step *Step) overlap(job *db.Job, s schedule.Schedule, run Run, from time.Time) {
	first := step.Next
	tooLong := !first.IsZero() && run.Finished.Sub(run.Started) >= first.Sub(run.Occurrence)
	if !tooLong || first.After(run.Finished) || MayOverlap(job) {
		return
	}
	count, last := s.Between(from, run.Finished)
	switch job.OverlapPolicy {
	case db.OverlapPolicyBUFFERONE: // the latest waits for the end of the run, and executes
		step.Next, step.Passed = last, count-1
	default:
		step.Passed = count
		step.goOn(s, last)
	}
	if step.Passed > 0 {
		step.PassedFrom = first
	}
}

// goOn makes the first occurrence after t the next one; where there is none the job has completed.
func (step *Step) goOn(s schedule.Schedule, t time.Time) {
	next, ok := s.Next(t)
	if !ok {
		step.Next, step.Rest = time.Time{}, db.JobStatusCOMPLETED
		return
	}
	step.Next = next
}

// Splits returns the next occurrence of a job whose runs may overlap: it does not wait for the end of the run of this
// one, the count-th of the job. False where there is none, or the end of the run decides.
func Splits(job *db.Job, s schedule.Schedule, occurrence time.Time, count int64) (time.Time, bool) {
	if !MayOverlap(job) || (job.MaxRuns != nil && count+1 >= *job.MaxRuns) {
		return time.Time{}, false
	}
	return s.Next(occurrence)
}

// MayOverlap tells whether a job's next run begins at its instant though the one before may still execute.
func MayOverlap(job *db.Job) bool {
	return job.OverlapPolicy == db.OverlapPolicyALLOWALL || job.OverlapPolicy == db.OverlapPolicyCANCELOTHER
}

// Backoff returns how long to wait after the failure of an attempt, counted from 1: a random time from the least backoff
// to twice of it, four times after the second attempt, and so on, within the most.
func Backoff(job *db.Job, attempt int) time.Duration {
	least, most := time.Duration(job.MinBackoffSeconds)*time.Second, time.Duration(job.MaxBackoffSeconds)*time.Second
	bound := least
	for range attempt {
		bound = min(2*bound, most)
	}
	return least + time.Duration(rand.Int64N(int64(bound-least)+1)) //nolint:gosec // spreading needs no secrecy
}
