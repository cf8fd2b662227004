package jobs

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/clock"
	"punctual/internal/policy"
)

// View is a job and where its schedule stands.
type View struct {
	Job Definition
	// RunCount and LastRunAt are the job's, with what only its due row knows yet.
	RunCount  int64
	LastRunAt *time.Time
	// NextRunAt is the next occurrence, or nil if there is none.
	NextRunAt *time.Time
	// LastRun is the job's last run that has ended, or nil.
	LastRun *LastRun
	// ConsecutiveFailures is how many of the latest runs failed in a row.
	ConsecutiveFailures int32
	// IsRunning is whether a run of the job executes.
	IsRunning bool
	Health    Health
	// OverdueSince is since when a success is overdue, or nil.
	OverdueSince *time.Time

	// scheduledFor is the instant of the row that carries the schedule, which may be that of a run
	// in flight.
	scheduledFor *time.Time
	// runsLeft is how many runs maxRuns leaves, with the one in flight.
	runsLeft int64
}

func newView(row db.GetJobRow) View {
	v := View{
		Job: row.Job, IsRunning: row.IsRunning, RunCount: row.Job.RunCount + row.EndedRunCount, LastRunAt: latest(row.Job.LastRunAt, row.DueLastRunAt),
		OverdueSince: row.OverdueSince, NextRunAt: row.ScheduledFor, scheduledFor: row.ScheduledFor, runsLeft: math.MaxInt64,
	}
	v.setLastRun(&row)
	if row.Job.MaxRuns != nil {
		v.runsLeft = *row.Job.MaxRuns - row.Job.RunCount - row.DueRunCount
	}
	if row.ScheduledFor == nil || !row.Running {
		return v
	}
	v.NextRunAt = nil
	if when, err := policy.Schedule(&row.Job); err == nil && v.runsLeft > 1 {
		if next, ok := when.Next(clock.Later(*row.ScheduledFor, clock.OrZero(row.RevisedAt))); ok {
			v.NextRunAt = &next
		}
	}
	return v
}

func latest(a, b *time.Time) *time.Time {
	if a == nil || (b != nil && b.After(*a)) {
		return b
	}
	return a
}

// Get returns a job, or ErrNotFound.
func (s *Service) Get(ctx context.Context, by access.Caller, id uuid.UUID) (View, error) {
	view, err := s.get(ctx, by, id)
	if err != nil {
		return View{}, err
	}
	return view, s.readEnds(ctx, &view)
}

// GetForBadge is Get for the badge of a job: everybody may see it, from whichever namespace, if the
// job allows that, and otherwise who may read jobs. It knows less of the last run than Get.
func (s *Service) GetForBadge(ctx context.Context, by access.Caller, id uuid.UUID) (View, error) {
	if by.May(access.JobsRead) {
		if view, err := s.get(ctx, by, id); !errors.Is(err, ErrNotFound) {
			return view, err
		}
	}
	namespace, err := s.queries.GetBadgeNamespace(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return View{}, ErrNotFound
	}
	if err != nil {
		return View{}, fmt.Errorf("look for a public badge: %w", err)
	}
	by.Namespace = namespace
	return s.get(ctx, by, id)
}

// get is Get without what only the history knows of the last run.
func (s *Service) get(ctx context.Context, by access.Caller, id uuid.UUID) (View, error) {
	row, err := s.queries.GetJob(ctx, db.GetJobParams{ID: id, Namespace: by.Namespace})
	if errors.Is(err, pgx.ErrNoRows) {
		return View{}, ErrNotFound
	}
	if err != nil {
		return View{}, fmt.Errorf("read the job: %w", err)
	}
	return newView(row), nil
}
