package jobs

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/gen/db"
)

// Config is what a Service needs. Zero means default.
type Config struct {
	Pool *pgxpool.Pool
}

// Service changes jobs, each change in a transaction of its own. Make it with New. Safe for
// concurrent use.
type Service struct {
	Config
}

// New returns a Service.
func New(c Config) *Service { return &Service{Config: c} }

// Pause pauses a job and stores the reason for people to read. It does nothing to a job that is
// deleted or not active.
func (s *Service) Pause(ctx context.Context, id uuid.UUID, reason string) error {
	err := Change(ctx, s.Pool, func(q *db.Queries) error {
		locked, err := LockJob(ctx, q, id)
		if err != nil {
			return err
		}
		job := locked.Job
		if job.Status != db.JobStatusACTIVE {
			return nil
		}
		job.Status, job.StatusReason, job.PausedSince = db.JobStatusPAUSED, &reason, &locked.LockedAt
		if err := Reschedule(ctx, q, locked.Job, &job, locked.LockedAt); err != nil {
			return err
		}
		return q.UpdateJob(ctx, UpdateParams(job))
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	return err
}
