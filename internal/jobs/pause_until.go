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

// PauseEnds is what the end of a pause is announced under, in the place of a queue. No queue has
// this name, because a qualified name has a slash.
const PauseEnds = "pauses"

// checkPauseUntil returns the field that is wrong if a job of a status cannot be paused until an
// instant.
func checkPauseUntil(until *time.Time, status db.JobStatus, now time.Time) []Field {
	switch {
	case status != db.JobStatusPAUSED:
		return []Field{{"pauseUntil", Conflicting, "can be given only if the job is paused"}}
	case !until.After(now):
		return []Field{{"pauseUntil", InThePast, "must be in the future"}}
	}
	return nil
}

// EndPauses resumes the jobs whose pause has ended (pauseUntil). It returns how many jobs it
// changed, and after how long the next pause ends, at most most.
//
// Several instances may do it at once, and each looks at a job again under its lock. So one that
// finds a job resumed, or its pause made longer, leaves it.
func (s *Service) EndPauses(ctx context.Context, most time.Duration) (changed int64, next time.Duration, err error) {
	failed := failures{ids: []uuid.UUID{}}
	for {
		rows, err := s.queries.ListEndingPauses(ctx, db.ListEndingPausesParams{Failed: failed.ids, MaxRows: pageOfSuspended})
		if err != nil {
			return changed, 0, fmt.Errorf("look for jobs whose pause has ended: %w", err)
		}
		next = most
		ids := []uuid.UUID{}
		for _, row := range rows {
			if row.EndsIn > 0 {
				next = min(next, row.EndsIn)
				break
			}
			ids = append(ids, row.ID)
		}
		changed += failed.changeEach(ids, func(i int) error {
			by := access.System(rows[i].Namespace)
			by.Limits.RunRetentionDays = rows[i].RunRetentionDays
			return s.endPause(ctx, by, ids[i])
		})
		if len(ids) == 0 || ctx.Err() != nil {
			return changed, next, errors.Join(failed.err, ctx.Err())
		}
	}
}

// endPause resumes a job whose pause has ended. A job in a suspended namespace stays paused, and
// goes on with the namespace.
func (s *Service) endPause(ctx context.Context, by access.Caller, id uuid.UUID) error {
	var after *Definition
	var now time.Time
	err := s.edit(ctx, by, id, func(e edit) error {
		after, now = nil, e.now
		until := e.job.PauseUntil
		if until == nil || until.After(e.now) {
			return nil
		}
		isSuspended, err := e.isNamespaceSuspended(ctx)
		if err != nil {
			return err
		}
		after = new(e.job)
		after.PauseUntil, after.PauseID = nil, nil
		if isSuspended {
			after.Suspended, after.StatusReason = true, new(suspendedReason)
			if err := s.store(ctx, &e, after, effectOf(&e.job, after)); err != nil {
				return err
			}
			return e.auditJob(ctx, "pauseJob", result{"statusReason": suspendedReason})
		}
		if _, err := policy.Schedule(after); err != nil {
			return err // nothing would be due, and the job must not be completed because of that
		}
		after.Status, after.StatusReason = db.JobStatusACTIVE, nil
		if err := s.store(ctx, &e, after, effectOf(&e.job, after)); err != nil {
			return err
		}
		if err := e.auditJob(ctx, "resumeJob", result{"pauseUntil": until.UTC()}); err != nil {
			return err
		}
		return e.endResumed(ctx, after)
	})
	if err == nil && after != nil {
		s.announce(after.FirstQueue, now)
	}
	return err
}

// findPassed sets which occurrences have passed for a job that is resumed although its pause has
// ended before now: those before the end. Those since then are executed, however much later the
// resume comes. The ones that were backfilled since, or that a run which is still open has
// overtaken, have passed too.
func (e *edit) findPassed(ctx context.Context, after *Definition) error {
	e.passed = e.now
	until := e.job.PauseUntil
	if until == nil || until.After(e.now) || !e.isResumed(after) {
		return nil
	}
	passed := clock.Later(until.Add(-time.Microsecond), clock.OrZero(e.job.PausedSince))
	rows, err := e.lockRows(ctx)
	if err != nil {
		return err
	}
	if carrier := e.carrierOf(rows, after); carrier != nil {
		passed = clock.Later(passed, carrier.ScheduledFor)
	}
	last, err := e.history.LastBackfilled(ctx, db.LastBackfilledParams{
		JobID: e.job.ID, After: clock.Later(passed, e.now.Add(-maxBackfilledAge)), Until: e.now,
	})
	if err != nil {
		return fmt.Errorf("look for what was backfilled: %w", err)
	}
	e.passed = clock.Earlier(clock.Later(passed, last), e.now)
	return nil
}
