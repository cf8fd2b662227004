package policy

import (
	"time"

	"punctual/gen/db"
	"punctual/internal/schedule"
)

const (
	// missedAfter is how late an occurrence may start and still be executed for its own sake.
	missedAfter = time.Minute
	// tolerance is how late an occurrence may start and be on time for every policy, whatever the
	// catch-up window: an instance under load or a failover must not make occurrences missed.
	tolerance = 10 * time.Second
)

// Misfire returns what to do with an occurrence that was claimed at now: nil to execute it, else a
// Step that skips it, as the first of Step.Skipped.
//
// An occurrence was missed when it is more than a minute late, or later than the job's catch-up
// window if that is shorter. FIRE_ONCE replaces a missed occurrence by the latest one that is due,
// SKIP steps to the future, FIRE_ALL executes it. No policy executes anything older than the
// catch-up window. With SKIP, an occurrence that is not missed yet also gives way when a later one
// is due: otherwise all of the last minute would be executed at once after an outage.
func Misfire(job *db.Job, s schedule.Schedule, occurrence, now time.Time) *Step {
	late := now.Sub(occurrence)
	if late <= tolerance {
		return nil
	}
	window := maxWindow
	if job.CatchupWindowSeconds != nil {
		window = max(time.Duration(*job.CatchupWindowSeconds)*time.Second, tolerance)
	}
	isMissed := late > min(missedAfter, window)
	if job.MisfirePolicy == db.MisfirePolicyFIREALL {
		if late <= window {
			return nil
		}
		return skipUntil(s, occurrence, now.Add(-window-time.Microsecond))
	}
	if !isMissed && job.MisfirePolicy == db.MisfirePolicyFIREONCE {
		return nil
	}
	later, latest := s.Between(occurrence, now)
	if later == 0 {
		latest = occurrence
	}
	bound := window // how late the latest one may be
	if isMissed && job.MisfirePolicy == db.MisfirePolicySKIP {
		bound = tolerance
	}
	switch {
	case now.Sub(latest) > bound:
		return skipUntil(s, occurrence, now)
	case later == 0:
		return nil
	}
	return &Step{Next: latest, Skipped: later, SkippedFrom: occurrence}
}

// maxWindow is longer than anything that can be late.
const maxWindow = time.Duration(1<<63 - 1)

// Yield skips a missed occurrence, and those that are due until a run that was started by hand and
// waits for it, in favor of that run.
func Yield(s schedule.Schedule, occurrence, bufferedFor time.Time) Step {
	later, _ := s.Between(occurrence, bufferedFor)
	return Step{Next: bufferedFor, Skipped: 1 + later, SkippedFrom: occurrence}
}

// skipUntil skips an occurrence and all after it until an instant, inclusive.
func skipUntil(s schedule.Schedule, occurrence, until time.Time) *Step {
	later, latest := s.Between(occurrence, until)
	step := Step{Skipped: 1 + later, SkippedFrom: occurrence}
	if later > 0 {
		occurrence = latest
	}
	step.goOn(s, occurrence)
	return &step
}
