package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/history"
	"punctual/internal/sanitize"
)

// LastRun is a job's last run that has ended: the latest by ScheduledFor. What was skipped because
// of another run or of a pause is not one: nobody has claimed it.
type LastRun struct {
	ScheduledFor time.Time
	Status       db.RunStatus
	// The others are nil if the run is not kept.
	Reason     *db.RunReason
	FinishedAt *time.Time
	// Error is the first line of the run's error.
	Error *string
}

// setLastRun sets what the job and its due rows know of the job's last run, and the job's health.
func (v *View) setLastRun(row *db.GetJobRow) {
	at, status, failures := row.Job.LastRunFor, row.Job.LastRunStatus, row.Job.Failures
	if isKnownLater(row.DueLastRunFor, at) {
		at, status, failures = row.DueLastRunFor, row.DueLastRunStatus, row.DueFailures
	}
	if at != nil {
		v.LastRun = &LastRun{ScheduledFor: *at, Status: *status}
	}
	v.ConsecutiveFailures = int32(failures)
	v.Health = healthOf(row.Job.Status, v.ConsecutiveFailures, row.IsLate, v.LastRun != nil)
}

// healthOf says how a job is: the first that is true. The function job_health of the schema says
// the same.
func healthOf(status db.JobStatus, failures int32, isLate, hasRun bool) Health {
	switch {
	case status == db.JobStatusPAUSED:
		return HealthPaused
	case failures > 0:
		return HealthFailing
	case isLate:
		return HealthLate
	case status == db.JobStatusCOMPLETED:
		return HealthCompleted
	case !hasRun:
		return HealthNeverRan
	default:
		return HealthOK
	}
}

// readEndsOf is readEnds for some of a slice.
func (s *Service) readEndsOf(ctx context.Context, views []View) error {
	all := make([]*View, len(views))
	for i := range views {
		all[i] = &views[i]
	}
	return s.readEnds(ctx, all...)
}

// tryReadEnds is readEnds after a change: the change is stored, whatever cannot be read of the last
// run.
func (s *Service) tryReadEnds(ctx context.Context, view *View) {
	if err := s.readEnds(ctx, view); err != nil {
		s.Logger.WarnContext(ctx, "could not read how the last run of a changed job ended; the answer leaves that out",
			"jobId", view.Job.ID, "error", err)
	}
}

// readEnds completes the last runs of jobs by what only the history knows.
func (s *Service) readEnds(ctx context.Context, views ...*View) error {
	var ids []uuid.UUID
	var scheduledFors []time.Time
	lastRuns := make(map[uuid.UUID]*LastRun, len(views)) // by job
	for _, v := range views {
		if last := v.LastRun; last != nil {
			ids, scheduledFors = append(ids, v.Job.ID), append(scheduledFors, last.ScheduledFor)
			lastRuns[v.Job.ID] = last
		}
	}
	ends, err := history.ListEnds(ctx, s.Pool, ids, scheduledFors)
	if err != nil {
		return fmt.Errorf("read the last runs of jobs: %w", err)
	}
	for i := range ends {
		end := &ends[i]
		last := lastRuns[end.JobID]
		last.Reason, last.FinishedAt = end.Reason, &end.FinishedAt
		if end.Error != nil {
			last.Error = new(sanitize.FirstLine(*end.Error))
		}
	}
	return nil
}
