package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/clock"
	"punctual/internal/policy"
)

// pageToCome is how many jobs are read at a time that may have to come back.
const pageToCome = 500

// BringBack makes jobs be due from now on again, after the database's clock was ahead for a while
// and came back: their next occurrences were computed from a time that is to come. What ran while
// the clock was ahead has had its run and is not repeated, so there is a gap when its time comes.
// It returns how many jobs it has changed.
//
// It looks at each active job. Several instances may do it at once: one that finds a job done
// leaves it. To look again changes nothing.
func (s *Service) BringBack(ctx context.Context) (changed int64, err error) {
	if err := errors.Join(s.queries.ShortenLeases(ctx), s.queries.ShortenWaits(ctx)); err != nil {
		return 0, fmt.Errorf("shorten what waits for a time that is to come: %w", err)
	}
	failed := failures{ids: []uuid.UUID{}}
	for after := uuid.Nil; ; {
		rows, err := s.queries.ListToCome(ctx, db.ListToComeParams{After: after, MaxRows: pageToCome})
		if err != nil {
			return changed, fmt.Errorf("list the jobs that are to come: %w", err)
		}
		var behind []*db.ListToComeRow
		var ids []uuid.UUID
		for i := range rows {
			if row := &rows[i]; isBehind(row) {
				behind, ids = append(behind, row), append(ids, row.Job.ID)
			}
		}
		changed += failed.changeEach(ids, func(i int) error {
			return s.bringBack(ctx, access.System(behind[i].Job.Namespace), behind[i])
		})
		if err := errors.Join(failed.err, ctx.Err()); err != nil || len(rows) < pageToCome {
			if err == nil { // as long as there is something left to do, the heartbeats tell of it
				err = s.queries.ForgetInstancesAhead(ctx)
			}
			return changed, err
		}
		after = rows[len(rows)-1].Job.ID
	}
}

// isBehind reports whether a job should be due before its next occurrence.
func isBehind(row *db.ListToComeRow) bool {
	when, err := policy.Schedule(&row.Job)
	if err != nil {
		return false // nobody knows when it is due
	}
	next, ok := when.Next(row.ReadAt)
	return ok && next.Before(row.ScheduledFor)
}

// bringBack makes a job be due again at its first occurrence from now on. It makes no new version
// of the job, since its definition stays.
func (s *Service) bringBack(ctx context.Context, by access.Caller, row *db.ListToComeRow) error {
	var after *Definition
	err := s.edit(ctx, by, row.Job.ID, func(e edit) error {
		after = nil
		now := e.job
		if now.Status != db.JobStatusACTIVE {
			return nil
		}
		if last := row.LastRunFor; last != nil && last.After(e.now) {
			from, err := e.FirstRunAhead(ctx, row.Job.ID)
			if err != nil {
				return fmt.Errorf("look for what ran ahead: %w", err)
			}
			from = clock.Earlier(from, *last)
			now.RanAheadFrom, now.RanAheadUntil = &from, last
		}
		if next, err := first(&now, e.now); err != nil || !next.Before(row.ScheduledFor) {
			return nil //nolint:nilerr // it is due when it is due, or never
		}
		after = &now
		if err := s.store(ctx, &e, after, reschedules); err != nil {
			return err
		}
		return e.auditJob(ctx, "bringBackJob", result{})
	})
	if err == nil && after != nil {
		s.announce(after.FirstQueue, time.Time{})
	}
	return err
}
