package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/executor"
)

// Update changes a job and returns it as it is then. A change that changes nothing stores nothing.
//
// A job that is resumed goes on with its next occurrence; those that passed while it was paused are
// recorded as skipped. If nothing is left, it is completed.
//
// If versions are given, the change is only for a job that has one of them.
//
// It returns ErrNotFound, a VersionChanged, an Invalid, or a Conflict if secrets that the change
// leaves out cannot be opened, or if it resumes a job in a suspended namespace.
func (s *Service) Update(
	ctx context.Context, by access.Caller, id uuid.UUID, change Change, only ...int32,
) (View, error) {
	view, _, err := s.update(ctx, by, id, func(e *edit) (*Change, error) { return &change, e.checkVersion(only) })
	if err != nil {
		return View{}, err
	}
	s.tryReadEnds(ctx, &view)
	return view, nil
}

// update is Update for a change that depends on the job, which is locked. A nil change leaves the
// job alone. It reports whether the job was changed.
func (s *Service) update(
	ctx context.Context, by access.Caller, id uuid.UUID, decide func(*edit) (*Change, error),
) (view View, isChanged bool, err error) {
	var done effect
	err = s.edit(ctx, by, id, func(e edit) error {
		done, view = 0, View{}
		change, err := decide(&e)
		if err != nil || change == nil {
			return err
		}
		after, err := s.changed(ctx, &e, *change)
		if err != nil {
			return err
		}
		done = effectOf(&e.job, after)
		if err := s.storeVersion(ctx, &e, after, done); err != nil {
			return err
		}
		row, err := e.GetJob(ctx, db.GetJobParams{ID: id, Namespace: by.Namespace})
		if err != nil {
			return fmt.Errorf("read the job: %w", err)
		}
		view = newView(row)
		return e.endResumed(ctx, after)
	})
	if err != nil {
		return View{}, false, err
	}
	s.announceEdit(view, done)
	return view, done != 0, nil
}

// announceEdit announces what an edit has made of a job.
func (s *Service) announceEdit(view View, done effect) {
	if done.has(endsWaiting | reroutes) {
		// Also runs that do not carry the schedule may be ready elsewhere.
		s.announce(view.Job.FirstQueue, time.Time{})
		s.announceNow()
	} else if view.scheduledFor != nil {
		s.announce(view.Job.FirstQueue, *view.scheduledFor)
	}
	if done != 0 && view.Job.PauseUntil != nil {
		s.Announce(PauseEnds, *view.Job.PauseUntil)
	}
}

// changed returns the job as a change makes it.
func (s *Service) changed(ctx context.Context, e *edit, change Change) (*Definition, error) {
	after := e.job
	change.applyTo(&after)
	if change.SkipOn.IsGiven || change.OnlyOn.IsGiven {
		known, err := readCalendars(ctx, e.Queries, e.by.Namespace, after.SkipOn, after.OnlyOn)
		if err != nil {
			return nil, err
		}
		e.calendars = known
	}
	if after.Status == db.JobStatusACTIVE && e.job.Status != db.JobStatusACTIVE {
		if err := mayBegin(e.by); err != nil {
			return nil, err
		}
	}
	wrong := slices.Concat(complete(&after, &e.job, e.now), e.calendars.give(&after, &e.job), checkPace(&after, &e.job, e.by))
	if change.Target.IsGiven {
		faults, err := s.mergeTarget(&after, change.Target.Value, &e.job)
		if err != nil {
			return nil, err
		}
		wrong = append(wrong, faults...)
	}
	wrong = slices.Concat(wrong, completeGroup(&after), checkPlaceholders(&after))
	if change.PauseUntil.Value != nil {
		wrong = append(wrong, checkPauseUntil(after.PauseUntil, after.Status, e.now)...)
	}
	if change.StatusReason.IsGiven && !change.Status.IsGiven {
		wrong = append(wrong, Field{"statusReason", Conflicting, "can be given only together with status"})
	}
	return &after, InvalidIfAny(wrong)
}

// storeJob stores the job after a change. If that is another version, the one before it is kept.
func (e *edit) storeJob(ctx context.Context, after db.UpdateJobParams) error {
	if e.job.Version < after.Version {
		image, err := imageOf(&e.job)
		if err != nil {
			return err
		}
		err = e.KeepVersion(ctx, db.KeepVersionParams{
			JobID: e.job.ID, Version: e.job.Version, UpdatedAt: e.job.UpdatedAt, UpdatedBy: e.job.UpdatedBy,
			SupersededAt: after.UpdatedAt, NextStatus: after.Status, NextStatusReason: after.StatusReason, Definition: image,
		})
		if err != nil {
			return err
		}
	}
	return e.UpdateJob(ctx, after)
}

// store stores an edited job, and does with its due rows what the edit requires.
func (s *Service) store(ctx context.Context, e *edit, after *Definition, does effect) (err error) {
	if does == 0 {
		return nil
	}
	switch {
	case does.has(reschedules):
		if err = e.findPassed(ctx, after); err == nil {
			err = s.recordPause(ctx, e)
		}
		if err == nil {
			err = e.reschedule(ctx, after)
		}
		if after.PausedSince = nil; err == nil && after.Status == db.JobStatusPAUSED {
			after.PausedSince, err = e.pausedSince(ctx)
		}
	case does.has(reroutes):
		err = e.move(ctx, after)
	}
	if err != nil {
		return err
	}
	if does.has(revises) {
		if err := e.revise(ctx); err != nil {
			return err
		}
	}
	if does.has(endsWaiting) && after.MaxAttempts < e.job.MaxAttempts {
		if err := e.endWaiting(ctx, after.MaxAttempts); err != nil {
			return err
		}
	}
	if connection := executor.ConnectionOf(after.Target); connection != executor.ConnectionOf(e.job.Target) {
		if err := holdConnection(ctx, e.Queries, after.Namespace, connection); err != nil {
			return err
		}
	}
	after.PausedByService = after.PausedByService && after.Status == db.JobStatusPAUSED
	if err := e.storeJob(ctx, updateParams(after)); err != nil {
		return fmt.Errorf("store the job: %w", err)
	}
	e.tellChange(after)
	return e.expectSuccess(ctx, after)
}

// endWaiting makes runs end at once that wait for another attempt and have made so many already.
func (e *edit) endWaiting(ctx context.Context, attempts int16) error {
	if _, err := e.lockRows(ctx); err != nil {
		return err
	}
	if _, err := e.EndWaiting(ctx, db.EndWaitingParams{JobID: e.job.ID, MaxAttempts: attempts}); err != nil {
		return fmt.Errorf("end the runs that wait: %w", err)
	}
	return nil
}

// Pause pauses a job and stores the reason for people to read. It does nothing to a job that is
// deleted or not active.
func (s *Service) Pause(ctx context.Context, by access.Caller, id uuid.UUID, reason string) error {
	return s.pause(ctx, by, id, reason, false)
}

// pause is Pause. isSuspended says that the job is paused only while its namespace is suspended,
// and is to go on when that goes on.
func (s *Service) pause(ctx context.Context, by access.Caller, id uuid.UUID, reason string, isSuspended bool) error {
	err := s.edit(ctx, by, id, func(e edit) error {
		if e.job.Status != db.JobStatusACTIVE {
			return nil
		}
		if isSuspended {
			if still, err := e.isNamespaceSuspended(ctx); err != nil || !still {
				return err
			}
		}
		after := e.job
		after.Status, after.StatusReason, after.Suspended = db.JobStatusPAUSED, &reason, isSuspended
		after.PausedByService = !isSuspended
		if err := s.store(ctx, &e, &after, effectOf(&e.job, &after)); err != nil {
			return err
		}
		return e.auditJob(ctx, "pauseJob", result{"statusReason": reason})
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// Delete hides a job and ends its schedule. A run that executes ends on its own; one that waits
// ends at once. If versions are given, only a job is deleted that has one of them. It returns
// ErrNotFound or a VersionChanged.
func (s *Service) Delete(ctx context.Context, by access.Caller, id uuid.UUID, only ...int32) error {
	return s.delete(ctx, by, id, func(e *edit) error { return e.checkVersion(only) })
}

// delete is Delete with a check of the job, which is locked.
func (s *Service) delete(ctx context.Context, by access.Caller, id uuid.UUID, check func(*edit) error) error {
	err := s.edit(ctx, by, id, func(e edit) error {
		if err := check(&e); err != nil {
			return err
		}
		return s.remove(ctx, &e)
	})
	if err == nil {
		s.announceNow()
	}
	return err
}

// remove is Delete, under the lock of the job.
func (s *Service) remove(ctx context.Context, e *edit) error {
	if err := s.recordPause(ctx, e); err != nil {
		return err
	}
	rows, err := e.lockRows(ctx)
	if err != nil {
		return err
	}
	if err := e.detach(ctx, rows, new(e.job), db.RunReasonJOBDELETED); err != nil {
		return err
	}
	for i := range rows {
		if row := &rows[i]; row.BufferedFor != nil {
			if err := e.dropBuffered(ctx, row, db.RunStatusSKIPPED, db.RunReasonJOBDELETED); err != nil {
				return err
			}
		}
	}
	if err := e.markDeleted(ctx); err != nil {
		return err
	}
	return e.auditChange(ctx, "deleteJob", result{})
}

// markDeleted hides a job, and leaves its runs that wait to the instances, for them to end.
func (e *edit) markDeleted(ctx context.Context) error {
	if err := e.endWaiting(ctx, 0); err != nil {
		return err
	}
	if err := e.MarkJobDeleted(ctx, e.job.ID); err != nil {
		return fmt.Errorf("mark the job as deleted: %w", err)
	}
	e.after.startsOn = e.after.startsOn || e.job.StartsOn != nil
	return nil
}
