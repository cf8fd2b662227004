package runs

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/internal/policy"
)

// isBeside tells whether the run is not on the row that carries its job's schedule, so that completing it cannot let
// the job rest.
func (o *Outcome) isBeside() bool { return !o.Row.CarriesSchedule || o.split }

// settleBeside pauses the job of a run that ended beside its schedule, where that has to be. It is no part of the run's
// completion: a failure is logged, and the next run that ends so tries again.
func (s Store) settleBeside(ctx context.Context, o *Outcome) {
	if err := s.pauseFor(ctx, o); err != nil {
		s.Logger.ErrorContext(ctx, "job not paused", "jobId", o.Row.JobID, "runId", o.RunID(), "error", err)
	}
}

func (s Store) pauseFor(ctx context.Context, o *Outcome) error {
	job := &o.Row.Job
	reason := ""
	if o.step.FinalStatus == db.JobStatusPAUSED {
		reason = o.step.StatusReason
	}
	if job.PauseAfterFailures != nil && o.Row.Trigger == db.RunTriggerSCHEDULE && o.isCounted() {
		failures, err := s.Queries.CountFailure(ctx, db.CountFailureParams{
			JobID: o.Row.JobID, Failed: o.status == db.RunStatusFAILED,
		})
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("count how it ended: %w", err)
		}
		if failures >= *job.PauseAfterFailures {
			reason = policy.FailedInARow(int(failures))
		}
	}
	if reason == "" {
		return nil
	}
	return s.Pauser.Pause(ctx, o.Row.JobID, reason)
}

// isCounted tells whether the run says something of how its job's runs end.
func (o *Outcome) isCounted() bool {
	return o.status == db.RunStatusFAILED || o.status == db.RunStatusSUCCEEDED
}
