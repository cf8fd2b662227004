package jobs

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"punctual/gen/db"
	"punctual/internal/events"
	"punctual/internal/policy"
	"punctual/internal/schedule"
)

// Definition is a job as it is stored. It is the row of the table jobs, so its fields are declared
// in the migrations only.
type Definition = db.Job

// complete checks a job that a change has made, and fills in what follows from the other fields:
// the zone of a cron expression, the anchor of an interval. before is the job as it was, or nil if
// it is new. It returns the fields that are wrong.
func complete(job, before *Definition, now time.Time) []Field {
	wrong := completeSchedule(job, before, now)
	for _, fault := range job.Labels.Check() {
		wrong = append(wrong, Field{"labels." + fault.Name, WrongFormat, fault.Detail})
	}
	if len(job.Labels) > maxLabels {
		wrong = append(wrong, Field{"labels", TooLarge, fmt.Sprintf("a job may have at most %d labels", maxLabels)})
	}
	if job.MaxBackoffSeconds < job.MinBackoffSeconds {
		wrong = append(wrong,
			Field{"minBackoffSeconds", Conflicting, "must not be more than maxBackoffSeconds"},
			Field{"maxBackoffSeconds", Conflicting, "must not be less than minBackoffSeconds"})
	}
	if (job.ConcurrencyGroup == nil) != (job.MaxConcurrency == nil) {
		wrong = append(wrong,
			Field{"concurrencyGroup", Conflicting, "must be given together with maxConcurrency"},
			Field{"maxConcurrency", Conflicting, "must be given together with concurrencyGroup"})
	}
	return wrong
}

// maxLabels is how many labels a job may have, as the contract says of a request. Requests that add
// some must not exceed it together.
const maxLabels = 64

// completeSchedule does what complete does, for the fields of the schedule.
func completeSchedule(job, before *Definition, now time.Time) (wrong []Field) {
	job.AnchorAt = nil
	if wrong := checkKind(job); wrong != nil {
		return wrong
	}
	if job.StartAt != nil && job.EndAt != nil && job.EndAt.Before(*job.StartAt) {
		wrong = append(wrong,
			Field{"startAt", Conflicting, "must not be after endAt"}, Field{"endAt", Conflicting, "must not be before startAt"})
	}
	if job.Cron == nil && job.Rrule == nil && job.TimeZone != nil {
		wrong = append(wrong, Field{"timeZone", Conflicting, "can be given only together with cron or rrule"})
	}
	if !policy.HasSchedule(job) {
		return append(wrong, checkUnscheduled(job)...)
	}
	if job.Cron != nil || job.Rrule != nil {
		if job.TimeZone == nil {
			job.TimeZone = new("UTC")
		}
		wrong = append(wrong, checkLocal(job)...)
	}
	if job.IntervalSeconds != nil {
		job.AnchorAt = new(anchor(job, before, now))
	}
	return wrong
}

// kindsOfSchedule names the fields of which a job has exactly one.
const kindsOfSchedule = "intervalInSeconds, cron, rrule, runAt, onDemand and startsOn"

// checkUnscheduled returns the fields that are wrong in a job that runs only when it is asked to,
// or when events start it.
func checkUnscheduled(job *Definition) (wrong []Field) {
	for _, field := range []struct {
		name    string
		isGiven bool
	}{
		{"startAt", job.StartAt != nil},
		{"endAt", job.EndAt != nil},
		{"jitterSeconds", job.JitterSeconds != 0},
		{"skipOn", job.SkipOn != nil},
		{"onlyOn", job.OnlyOn != nil},
	} {
		if field.isGiven {
			wrong = append(wrong, Field{field.name, Conflicting, "cannot be combined with onDemand or startsOn"})
		}
	}
	if job.StartsOn == nil {
		return wrong
	}
	var startsOn events.StartsOn
	if err := json.Unmarshal(job.StartsOn, &startsOn); err != nil {
		return append(wrong, Field{"startsOn", WrongFormat, "cannot be read"})
	}
	for _, fault := range startsOn.Check() {
		wrong = append(wrong, Field{"startsOn." + fault.Field, Conflicting, fault.Detail})
	}
	return wrong
}

// checkKind returns the fields that are wrong if a job does not have exactly one kind of schedule.
func checkKind(job *Definition) (wrong []Field) {
	kinds := []struct {
		name string
		has  bool
	}{
		{"intervalInSeconds", job.IntervalSeconds != nil},
		{"cron", job.Cron != nil},
		{"rrule", job.Rrule != nil},
		{"runAt", job.RunAt != nil},
		{"onDemand", job.OnDemand},
		{"startsOn", job.StartsOn != nil},
	}
	for _, kind := range kinds {
		if kind.has {
			wrong = append(wrong, Field{kind.name, Conflicting, "only one of " + kindsOfSchedule + " can be given"})
		}
	}
	switch len(wrong) {
	case 0:
		for _, kind := range kinds {
			wrong = append(wrong, Field{kind.name, Required, "one of " + kindsOfSchedule + " must be given"})
		}
	case 1:
		return nil
	}
	return wrong
}

// anchor returns the anchor of an interval's grid: the old one while neither the interval nor the
// start changes, the last instant of the old grid for a new interval, and otherwise that of a new
// job.
func anchor(job, before *Definition, now time.Time) time.Time {
	if before != nil && before.IntervalSeconds != nil && equal(before.StartAt, job.StartAt) {
		if *before.IntervalSeconds == *job.IntervalSeconds {
			return *before.AnchorAt
		}
		if job.StartAt == nil || job.StartAt.Before(now) {
			jitter := schedule.Jitter(before.ID, int64(before.JitterSeconds))
			return schedule.NewInterval(*before.AnchorAt, *before.IntervalSeconds).Last(now.Add(-jitter))
		}
	}
	return policy.Anchor(*job.IntervalSeconds, job.StartAt, now)
}

// checkLocal returns the field that is wrong of a schedule of local times.
func checkLocal(job *Definition) []Field {
	location, err := policy.LoadZone(*job.TimeZone)
	if err != nil || !policy.IsZone(*job.TimeZone) {
		return []Field{{"timeZone", WrongFormat, "is not the IANA name of a time zone"}}
	}
	if job.Rrule != nil {
		_, err := schedule.ParseRule(*job.Rrule, location)
		if wrong, ok := errors.AsType[*schedule.RuleError](err); ok {
			return []Field{{"rrule", WrongFormat, wrong.Reason}}
		}
		return nil
	}
	if _, err := schedule.ParseCron(*job.Cron, location, schedule.Seed(job.ID)); err != nil {
		detail := err.Error()
		if part, ok := errors.AsType[*schedule.CronError](err); ok {
			detail = fmt.Sprintf("%s: %s", part.Field, part.Reason)
		}
		return []Field{{"cron", WrongFormat, detail}}
	}
	return nil
}

func equal(a, b *time.Time) bool { return (a == nil) == (b == nil) && (a == nil || a.Equal(*b)) }

// justPassed is how long an instant that a request gives may have passed and is still executed, at
// once: the request may have been on its way, and the client's clock a little behind.
const justPassed = time.Minute

// first returns the first occurrence of a job after an instant, the zero instant for a job that has
// no schedule, or an Invalid that names the field
// which keeps the job from ever being due again. Another error means that the stored schedule
// cannot be computed.
func first(job *Definition, after time.Time) (time.Time, error) {
	when, err := policy.Schedule(job)
	if err != nil {
		return time.Time{}, err
	}
	never := func(field, detail string) (time.Time, error) {
		return time.Time{}, &Invalid{[]Field{{field, NeverDue, detail}}}
	}
	if job.MaxRuns != nil && job.RunCount >= *job.MaxRuns {
		return never("maxRuns", fmt.Sprintf("the job has run %d times already", job.RunCount))
	}
	next, ok := when.Next(after)
	switch {
	case ok, !policy.HasSchedule(job):
		return next, nil
	case leavesOutAll(job, after):
		field := "skipOn"
		if job.SkipOn == nil {
			field = "onlyOn"
		}
		return never(field, "leaves out all that is due")
	case job.RunAt != nil && job.StartAt != nil && job.StartAt.After(*job.RunAt):
		return never("startAt", "must not be after runAt")
	case job.EndAt != nil && (job.RunAt == nil || job.RunAt.After(*job.EndAt)):
		return never("endAt", "nothing is due from now until then")
	case job.RunAt != nil:
		return never("runAt", "must not be in the past")
	case job.StartAt != nil:
		return never("startAt", "nothing is due from then on")
	case job.Rrule != nil:
		return never("rrule", "is never due again")
	default:
		return never("cron", "is never due again")
	}
}

// leavesOutAll reports whether a job that is never due would be without its calendars.
func leavesOutAll(job *Definition, after time.Time) bool {
	if job.CalendarDays == nil {
		return false
	}
	plain := *job
	plain.CalendarDays = nil
	when, err := policy.Schedule(&plain)
	if err != nil {
		return false
	}
	_, ok := when.Next(after)
	return ok
}

// firstSince returns from when on the first occurrence of a job may be due: now, or a little before
// for an instant that the request gives.
func firstSince(job, before *Definition, now time.Time) time.Time {
	if job.RunAt == nil || (before != nil && equal(before.RunAt, job.RunAt)) {
		return now
	}
	return now.Add(-justPassed)
}
