package runs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/policy"
	"punctual/internal/traceid"
)

// changeJobs pauses or completes the jobs of runs that ended off their schedules, if they have to
// be. It is no part of the runs' completion: a failure is logged, and the next run that ends so
// tries again.
func (s Store) changeJobs(ctx context.Context, ended []*Ended) {
	counted := map[uuid.UUID]*Ended{} // a run of each job that may have had its maxRuns now
	for _, e := range ended {
		s.logUnchanged(ctx, e, s.pauseJob(ctx, e))
		// A run whose schedule was detached counts with the schedule already.
		if e.Job.MaxRuns != nil && e.attempt > 0 && !e.isDetached {
			counted[e.Due.JobID] = e
		}
	}
	for _, e := range counted {
		s.logUnchanged(ctx, e, s.completeJob(ctx, e))
	}
}

func (s Store) logUnchanged(ctx context.Context, e *Ended, err error) {
	if err != nil {
		s.Logger.ErrorContext(ctx, "could not pause or complete a job because of how its run ended; the next such run tries again",
			"namespace", e.Job.Namespace, "jobId", e.Due.JobID, "runId", e.RunID(), "error", err)
	}
}

// completeJob completes the job if it has had its maxRuns.
func (s Store) completeJob(ctx context.Context, e *Ended) error {
	completed, err := s.Jobs.CompleteUsedUp(ctx, access.System(e.Job.Namespace), e.Due.JobID)
	if completed && s.LogRuns {
		s.Logger.InfoContext(ctx, "job completed", "namespace", e.Job.Namespace, "jobId", e.Due.JobID, "runId", e.RunID())
	}
	return err
}

func (s Store) pauseJob(ctx context.Context, e *Ended) error {
	reason := ""
	if e.step.FinalStatus == db.JobStatusPAUSED {
		reason = e.step.StatusReason
	}
	counts := e.Due.Trigger == db.RunTriggerSCHEDULE || !policy.HasSchedule(&e.Job)
	if e.Job.PauseAfterFailures != nil && counts && e.status == db.RunStatusFAILED {
		failures, err := s.Queries.CountFailures(ctx, e.Due.JobID)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("count failures in a row: %w", err)
		}
		if failures >= *e.Job.PauseAfterFailures {
			reason = policy.FailedInARow(int(failures))
		}
	}
	if reason == "" {
		return nil
	}
	if err := s.Jobs.Pause(ctx, access.System(e.Job.Namespace), e.Due.JobID, reason); err != nil {
		return err
	}
	s.logPause(ctx, e, reason)
	return nil
}

// logEnd logs that a run has ended: a failed one as a warning, others only with LogRuns. It also
// logs what that means for the job.
func (s Store) logEnd(ctx context.Context, e *Ended) {
	switch {
	case e.status == db.RunStatusFAILED:
		s.Logger.WarnContext(ctx, "run failed", s.attributes(e)...)
	case s.LogRuns:
		s.Logger.InfoContext(ctx, "run ended", s.attributes(e)...)
	}
	switch {
	case e.isOffSchedule():
	case e.step.FinalStatus == db.JobStatusPAUSED:
		s.logPause(ctx, e, e.step.StatusReason)
	case e.step.FinalStatus == db.JobStatusCOMPLETED && s.LogRuns:
		s.Logger.InfoContext(ctx, "job completed", "namespace", e.Job.Namespace, "jobId", e.Due.JobID, "runId", e.RunID())
	}
}

func (s Store) logPause(ctx context.Context, e *Ended, reason string) {
	s.Logger.WarnContext(ctx, "job paused", "namespace", e.Job.Namespace, "jobId", e.Due.JobID, "runId", e.RunID(), "reason", reason)
}

// attributes says in a line of the log which run it was and how it ended.
func (s Store) attributes(e *Ended) []any {
	all := []any{
		slog.String("namespace", e.Job.Namespace), slog.Any("jobId", e.Due.JobID), slog.Any("runId", e.RunID()), slog.String("status", string(e.status)),
		slog.String("trigger", string(e.Due.Trigger)), slog.Int("attempt", int(e.attempt)),
	}
	if s.Tracer != nil {
		all = append(all, slog.String("traceId", traceid.OfRun(e.RunID()).TraceID().String()))
	}
	if e.reason != "" {
		all = append(all, slog.String("reason", string(e.reason)))
	}
	if e.error != "" {
		all = append(all, slog.String("error", e.error))
	}
	return all
}
