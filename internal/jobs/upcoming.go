package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"punctual/internal/access"
	"punctual/internal/clock"
	"punctual/internal/policy"
)

// Occurrence is an instant at which a job is due.
type Occurrence struct {
	ScheduledFor time.Time
	// LocalTime is the same instant in the schedule's zone.
	LocalTime time.Time
	// IsMoved reports whether a change of clocks moved it from the time that the expression names.
	IsMoved bool
	// IsMovedByCalendar reports whether it is on another day than the schedule names.
	IsMovedByCalendar bool
}

// Preview returns the first occurrences after an instant, or after now, that a job with the
// schedule of a change would have in the namespace of the caller. It returns an Invalid if no job
// can have it.
func (s *Service) Preview(ctx context.Context, by access.Caller, given Change, after *time.Time, count int) ([]Occurrence, error) {
	now, err := s.databaseTime(ctx, s.queries)
	if err != nil {
		return nil, err
	}
	var job Definition
	if job.ID, err = uuid.NewV7(); err != nil {
		return nil, fmt.Errorf("make a job id: %w", err)
	}
	given.applyTo(&job)
	known, err := calendarsOf(ctx, s.queries, by.Namespace, given)
	if err != nil {
		return nil, err
	}
	if err := InvalidIfAny(append(completeSchedule(&job, nil, now), known.give(&job, nil)...)); err != nil {
		return nil, err
	}
	if after == nil {
		after = &now
	}
	return upcoming(&job, *after, count)
}

// Upcoming returns the next occurrences of a job; none if it is not active. It returns ErrNotFound.
func (s *Service) Upcoming(ctx context.Context, by access.Caller, id uuid.UUID, count int) ([]Occurrence, error) {
	view, err := s.get(ctx, by, id)
	if err != nil || view.NextRunAt == nil {
		return nil, err
	}
	now, err := s.databaseTime(ctx, s.queries)
	if err != nil {
		return nil, err
	}
	after, left := view.upcomingFrom(now)
	return upcoming(&view.Job, after, int(min(int64(count), left)))
}

// upcomingFrom returns the instant after which the next occurrences of a job are that has one, and
// how many maxRuns leaves.
func (v *View) upcomingFrom(now time.Time) (after time.Time, left int64) {
	left = v.runsLeft
	if !v.scheduledFor.After(now) {
		left-- // the run that is due or executes
	}
	return clock.Later(v.NextRunAt.Add(-time.Microsecond), now), left
}

func upcoming(job *Definition, after time.Time, count int) (all []Occurrence, err error) {
	when, err := policy.Preview(job)
	if err != nil {
		return nil, err
	}
	zone := time.UTC
	if job.TimeZone != nil {
		if zone, err = policy.LoadZone(*job.TimeZone); err != nil {
			return nil, err
		}
	}
	for next := range when.After(after) {
		if len(all) == count {
			break
		}
		isMoved, isMovedByCalendar := when.Moved(next, zone)
		all = append(all, Occurrence{next, next.In(zone), isMoved, isMovedByCalendar})
	}
	return all, nil
}
