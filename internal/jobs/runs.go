package jobs

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/history"
	"punctual/internal/runid"
)

// Run is a run of a job, open or ended.
type Run = db.GetRunRow

// GetRun returns a run, or ErrRunNotFound.
func (s *Service) GetRun(ctx context.Context, by access.Caller, id uuid.UUID) (Run, error) {
	scheduledFor, jobTail, ok := runid.Parse(id)
	if !ok {
		return Run{}, ErrRunNotFound
	}
	run, err := history.Get(ctx, s.Pool, db.GetRunParams{Namespace: by.Namespace, ScheduledFor: scheduledFor, JobTail: jobTail})
	if errors.Is(err, pgx.ErrNoRows) {
		return Run{}, ErrRunNotFound
	}
	if err != nil {
		return Run{}, err
	}
	return run, nil
}

// Retry starts a run that repeats one which did not succeed, with the payload and the cause of that
// run, by an overlap policy or else by the job's own. The new run names the first one that was
// repeated, and begins a chain of its own. It returns ErrRunNotFound, or a Conflict if the run has
// not ended, has succeeded, or its job is deleted.
func (s *Service) Retry(ctx context.Context, by access.Caller, id uuid.UUID, policy *db.OverlapPolicy) (Run, error) {
	return s.retry(ctx, by, id, start{policy: policy})
}

// retry is Retry by what is said of the start.
func (s *Service) retry(ctx context.Context, by access.Caller, id uuid.UUID, what start) (Run, error) {
	before, err := s.GetRun(ctx, by, id)
	if err != nil {
		return Run{}, err
	}
	switch db.RunStatus(before.Status) {
	case db.RunStatusSUCCEEDED:
		return Run{}, &Conflict{RunHasSucceeded, "The run has succeeded."}
	case db.RunStatusFAILED, db.RunStatusCANCELED, db.RunStatusSKIPPED:
	default: // PENDING or RUNNING, which only open runs have
		return Run{}, &Conflict{RunNotEnded, "The run has not ended."}
	}
	what.trigger, what.retryOf, what.repeated = db.RunTriggerRETRY, new(originalOf(before)), id
	what.payload, what.causedBy = before.Payload, before.CausedBy
	run, err := s.start(ctx, by, before.JobID, what)
	if errors.Is(err, ErrNotFound) {
		return Run{}, &Conflict{JobDeleted, "The run's job was deleted."}
	}
	return run, err
}

// originalOf returns the instant of the run that a retry of a run repeats: the first one.
func originalOf(run Run) time.Time { return *cmp.Or(run.RetryOf, &run.ScheduledFor) }

// Cancel makes an open run end, and returns it as it is then. It returns ErrRunNotFound, or a
// Conflict if the run has ended.
func (s *Service) Cancel(ctx context.Context, by access.Caller, id uuid.UUID) (Run, error) {
	before, err := s.GetRun(ctx, by, id)
	if err != nil {
		return Run{}, err
	}
	if _, err := s.cancelRun(ctx, by, id, before); err != nil {
		return Run{}, err
	}
	after, err := s.GetRun(ctx, by, id)
	if errors.Is(err, ErrRunNotFound) {
		return before, nil // it has succeeded meanwhile, and its job keeps failures only
	}
	return after, err
}

// cancelRun cancels a run, and reports whether it was not canceled before.
func (s *Service) cancelRun(ctx context.Context, by access.Caller, id uuid.UUID, run Run) (changed bool, err error) {
	err = s.editRuns(ctx, by, run.JobID, func(e edit) (err error) {
		if changed, err = e.cancel(ctx, run.ScheduledFor); err != nil || !changed {
			return err
		}
		return e.auditRun(ctx, "cancelRun", id, result{})
	})
	if err != nil {
		return false, err
	}
	s.announceCanceled(ctx, []uuid.UUID{id}, db.RunReasonREQUESTED)
	return changed, nil
}

// cancel cancels the open run of an instant, and reports whether it was not canceled before.
func (e *edit) cancel(ctx context.Context, scheduledFor time.Time) (changed bool, err error) {
	rows, err := e.lockRows(ctx)
	if err != nil {
		return false, err
	}
	for i := range rows {
		row := &rows[i]
		switch {
		case row.BufferedFor != nil && row.BufferedFor.Equal(scheduledFor):
			return true, e.dropBuffered(ctx, row, db.RunStatusCANCELED, db.RunReasonREQUESTED)
		case row.ScheduledFor.Equal(scheduledFor) && (isOpen(row, e.now) || row.Trigger != db.RunTriggerSCHEDULE):
			return row.CancelReason == nil, e.CancelRuns(ctx, db.CancelRunsParams{
				JobID: e.job.ID, ScheduledFors: []time.Time{row.ScheduledFor}, Reason: db.RunReasonREQUESTED,
			})
		}
	}
	return false, &Conflict{RunHasEnded, "The run has ended."}
}

// announceCanceled tells the instances that execute these runs to stop them.
func (s *Service) announceCanceled(ctx context.Context, runs []uuid.UUID, reason db.RunReason) {
	if len(runs) == 0 {
		return
	}
	s.announceNow() // runs that nobody executes are claimed to be ended
	if err := s.queries.NotifyCanceled(ctx, db.NotifyCanceledParams{RunIds: runs, Reason: string(reason)}); err != nil {
		s.Logger.WarnContext(ctx, "could not tell the instances that runs are canceled; they stop them a few seconds later",
			"runs", len(runs), "error", err)
	}
}
