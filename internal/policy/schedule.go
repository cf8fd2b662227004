// Package policy decides what comes next for a stored job: misfires, overlaps, pauses and backoff.
//
// It is pure, and whoever has to know what comes next asks it, so the API and the engine agree.
package policy

import (
	"fmt"
	"time"

	"punctual/gen/db"
	"punctual/internal/clock"
	"punctual/internal/schedule"
)

// Schedule returns when a stored job is due. An error means that the stored job is invalid, for
// example because the time zone database of this version does not know its zone.
func Schedule(job *db.Job) (schedule.Schedule, error) { return newSchedule(job, crons.parse) }

// Preview is like Schedule, for a job that will not be asked for again: nothing of it is
// remembered.
func Preview(job *db.Job) (schedule.Schedule, error) { return newSchedule(job, parseCron) }

func newSchedule(job *db.Job, parse func(cronKey) (schedule.Grid, error)) (schedule.Schedule, error) {
	s := schedule.Schedule{
		Start: clock.OrZero(job.StartAt), Jitter: schedule.Jitter(job.ID, int64(job.JitterSeconds)),
	}
	if job.EndAt != nil {
		s.End = clock.Later(*job.EndAt, time.Time{}.Add(1)) // the zero time would be no bound
	}
	switch {
	case job.IntervalSeconds != nil:
		s.Grid = schedule.NewInterval(*job.AnchorAt, *job.IntervalSeconds)
	case job.Cron != nil:
		cron, err := parse(newCronKey(*job.Cron, *job.TimeZone, job.ID))
		if err != nil {
			return schedule.Schedule{}, fmt.Errorf("schedule of job %s: %w", job.ID, err)
		}
		s.Grid = cron
	case job.Rrule != nil:
		rule, err := parse(cronKey{expression: *job.Rrule, zone: *job.TimeZone, isRule: true})
		if err != nil {
			return schedule.Schedule{}, fmt.Errorf("schedule of job %s: %w", job.ID, err)
		}
		s.Grid = rule
	case job.RunAt != nil:
		s.Grid = schedule.Once{At: *job.RunAt}
	default:
		s.Grid = schedule.Never{}
	}
	var err error
	if job.CalendarDays != nil {
		s.Grid, err = filtered(job, s.Grid)
	}
	if job.RanAheadFrom != nil {
		s.Grid = schedule.Without{Grid: s.Grid, From: job.RanAheadFrom.Add(-s.Jitter), Until: job.RanAheadUntil.Add(-s.Jitter)}
	}
	return s, err
}

// HasSchedule reports whether a job is due by itself. One that is not runs only when it is asked
// to, or when events start it.
func HasSchedule(job *db.Job) bool { return !job.OnDemand && job.StartsOn == nil }

// Anchor returns the anchor of an interval's grid for a job that is created at now. The first
// occurrence is at the start, if there is one, or one interval from now.
func Anchor(intervalSeconds int64, start *time.Time, now time.Time) time.Time {
	if start != nil {
		return start.Add(-time.Duration(intervalSeconds) * time.Second)
	}
	return now
}
