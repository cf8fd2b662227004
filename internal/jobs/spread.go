package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/access"
)

const (
	// CalendarsChanged is the queue in whose name it is announced that a calendar was replaced.
	CalendarsChanged = "calendars"

	// spreadAtOnce is how many replaced calendars a pass takes, and pageOfSpread how many jobs it
	// reads at a time.
	spreadAtOnce = 100
	pageOfSpread = 200

	emptiedReason = "Its calendars leave out all occurrences that are still to come."
)

// SpreadCalendars gives the jobs that name a calendar which was replaced its new days, and
// schedules them anew. It returns how many jobs it has looked at.
//
// What is left to do stands in the database, so it may be cut off after any job. Several instances
// may do it at once: who finds a job done leaves it.
func (s *Service) SpreadCalendars(ctx context.Context) (changed int64, err error) {
	replaced, err := s.queries.ListSpreading(ctx, spreadAtOnce)
	if err != nil {
		return 0, fmt.Errorf("look for calendars that were replaced: %w", err)
	}
	var failed failures
	for _, calendar := range replaced {
		before := failed.err
		failed.err = nil
		n, err := s.spread(ctx, &calendar, &failed)
		changed += n
		if err != nil {
			return changed, err
		}
		if failed.err == nil {
			err = s.queries.MarkSpread(ctx, db.MarkSpreadParams{ID: calendar.ID, UpdatedAt: calendar.UpdatedAt})
		}
		if failed.err = errors.Join(before, failed.err); err != nil {
			return changed, fmt.Errorf("note that all jobs have the days of a calendar: %w", err)
		}
	}
	return changed, failed.err
}

// spread gives the jobs that name a calendar its new days.
func (s *Service) spread(ctx context.Context, calendar *db.ListSpreadingRow, failed *failures) (changed int64, err error) {
	by := access.System(calendar.Namespace)
	for after := uuid.Nil; ; {
		ids, err := s.queries.ListJobsWithCalendar(ctx, db.ListJobsWithCalendarParams{
			Namespace: calendar.Namespace, Key: calendar.Key, After: after, MaxRows: pageOfSpread,
		})
		if err != nil {
			return changed, fmt.Errorf("list the jobs that name the calendar %s: %w", calendar.Key, err)
		}
		changed += failed.changeEach(ids, func(i int) error { return s.giveDays(ctx, by, ids[i]) })
		if len(ids) < pageOfSpread || ctx.Err() != nil {
			return changed, ctx.Err()
		}
		after = ids[len(ids)-1]
	}
}

// giveDays gives a job the days that its calendars have now. It makes no new version of the job,
// since its definition stays. An active job that would never be due again is paused: completed, it
// might be deleted.
func (s *Service) giveDays(ctx context.Context, by access.Caller, id uuid.UUID) error {
	var after *Definition
	err := s.edit(ctx, by, id, func(e edit) error {
		after = nil
		known, err := readCalendars(ctx, e.Queries, by.Namespace, e.job.SkipOn, e.job.OnlyOn)
		if err != nil {
			return err
		}
		now := e.job
		days, wrong := known.days(&now)
		if len(wrong) > 0 {
			return InvalidIfAny(wrong) // a calendar that is named is not deleted
		}
		if now.CalendarDays = days; effectOf(&e.job, &now) == 0 {
			return nil
		}
		isEmptied := false
		if now.Status == db.JobStatusACTIVE {
			_, err := first(&now, e.now)
			_, isEmptied = errors.AsType[*Invalid](err)
		}
		if isEmptied {
			now.Status, now.StatusReason, now.PausedByService = db.JobStatusPAUSED, new(emptiedReason), true
		}
		if err := s.store(ctx, &e, &now, effectOf(&e.job, &now)); err != nil {
			return err
		}
		after = &now
		if isEmptied {
			return e.auditJob(ctx, "pauseJob", result{"statusReason": emptiedReason})
		}
		return nil
	})
	if err == nil && after != nil {
		s.announce(after.FirstQueue, time.Time{})
	}
	return err
}
