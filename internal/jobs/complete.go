package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/policy"
)

// CompleteUsedUp completes a job that has had as many runs as its maxRuns, and reports whether it
// did. Runs off the schedule count too, and only the run that carries the schedule completes its
// job by itself. If that run is in flight, or was started by hand, it does so when it ends. It does
// nothing to a job that is deleted or not active.
//
// It locks the job's rows, which claims and completions wait for, only if at most one run is left.
func (s *Service) CompleteUsedUp(ctx context.Context, by access.Caller, id uuid.UUID) (completed bool, err error) {
	mayBe, err := s.queries.MayBeUsedUp(ctx, id)
	if err != nil {
		return false, fmt.Errorf("count the job's runs: %w", err)
	}
	if !mayBe {
		return false, nil
	}
	err = s.edit(ctx, by, id, func(e edit) (err error) {
		completed, err = e.completeUsedUp(ctx)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return completed, err
}

func (e *edit) completeUsedUp(ctx context.Context) (bool, error) {
	if e.job.Status != db.JobStatusACTIVE || e.job.MaxRuns == nil {
		return false, nil
	}
	rows, err := e.lockRows(ctx)
	if err != nil {
		return false, err
	}
	carrier := findLast(rows, carriesSchedule)
	if !policy.HasSchedule(&e.job) {
		return e.completeUnscheduled(ctx)
	}
	if carrier == nil {
		return false, nil
	}
	count := e.job.RunCount + carrier.RunCount
	if carrier.Attempt > 0 {
		count++ // it counts when it ends, and does not know of the runs that have ended since its claim
	}
	switch {
	case count < *e.job.MaxRuns:
		return false, nil
	case carrier.Attempt > 0 || carrier.Trigger != db.RunTriggerSCHEDULE || carrier.BufferedFor != nil:
		return false, e.revise(ctx)
	}
	if err := e.DetachSchedule(ctx, e.job.ID); err != nil {
		return false, fmt.Errorf("detach the schedule: %w", err)
	}
	// It is never due, so it leaves no run.
	_, err = e.DropOccurrence(ctx, db.DropOccurrenceParams{JobID: e.job.ID, ScheduledFor: carrier.ScheduledFor})
	if err != nil {
		return false, fmt.Errorf("remove the next occurrence: %w", err)
	}
	after := e.job
	after.Status, after.StatusReason, after.RunCount = db.JobStatusCOMPLETED, nil, e.job.RunCount+carrier.RunCount
	copyLastRun(&after, carrier)
	if err := e.storeJob(ctx, updateParams(&after)); err != nil {
		return false, fmt.Errorf("complete the job: %w", err)
	}
	return true, e.end(ctx, &after)
}

// completeUnscheduled completes a job without a schedule that has had its maxRuns. Its runs are
// counted with the job when they end. Those that are still open end on their own.
func (e *edit) completeUnscheduled(ctx context.Context) (bool, error) {
	if e.job.RunCount < *e.job.MaxRuns {
		return false, nil
	}
	after := e.job
	after.Status, after.StatusReason = db.JobStatusCOMPLETED, nil
	if err := e.storeJob(ctx, updateParams(&after)); err != nil {
		return false, fmt.Errorf("complete the job: %w", err)
	}
	return true, e.end(ctx, &after)
}

// endResumed does what follows if nothing was left for a job that was resumed: it is completed.
func (e *edit) endResumed(ctx context.Context, after *Definition) error {
	if e.job.Status != db.JobStatusPAUSED || after.Status != db.JobStatusCOMPLETED {
		return nil
	}
	return e.end(ctx, after)
}

// end does what follows once a job is stored as completed. Nobody but the service has decided that.
func (e *edit) end(ctx context.Context, after *Definition) error {
	if after.DeleteAfterCompletion {
		if err := e.markDeleted(ctx); err != nil {
			return err
		}
	}
	e.tellCompleted(after)
	e.by.Actor = access.System(e.by.Namespace).Actor
	return e.auditJob(ctx, "completeJob", result{"deleted": after.DeleteAfterCompletion})
}
