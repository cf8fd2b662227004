package jobs

import (
	"cmp"
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

	// scheduledFor is the instant of the row that carries the schedule, which may be that of a run
	// in flight.
	scheduledFor *time.Time
	// runsLeft is how many runs maxRuns leaves, with the one in flight.
	runsLeft int64
}

func newView(row db.GetJobRow) View {
	v := View{
		Job: row.Job, IsRunning: row.IsRunning, RunCount: row.Job.RunCount + row.EndedRunCount, LastRunAt: latest(row.Job.LastRunAt, row.DueLastRunAt),
		NextRunAt: row.ScheduledFor, scheduledFor: row.ScheduledFor, runsLeft: math.MaxInt64,
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

// List says which jobs to list, newest first.
type List struct {
	// Status selects the jobs of one status. Default: all.
	Status *db.JobStatus
	// After is the last job of the page before. Default: the list begins with the newest job.
	After *Place
	// Skip is how many jobs to pass over. The cost of a list grows with it.
	Skip int32
	// Max is how many jobs to return at most.
	Max int32
}

// Place is where in a list a job stands.
type Place struct {
	CreatedAt time.Time
	ID        uuid.UUID
}

// List returns a page of jobs, and whether there may be more. It returns fewer than l.Max if their
// payloads would have more than about 8 MiB, which bounds the memory that a list takes.
func (s *Service) List(ctx context.Context, by access.Caller, l List) (views []View, more bool, err error) {
	size, left := 0, int(l.Max)
	for next := min(firstRead, left); next > 0; {
		l.Max = int32(next)
		read, err := s.read(ctx, by, l)
		if err != nil {
			return nil, false, err
		}
		for i := range read {
			size += len(read[i].Job.Payload)
		}
		views, left = append(views, read...), left-len(read)
		if len(read) < next {
			return views, false, s.readEndsOf(ctx, views)
		}
		last := read[len(read)-1].Job
		l.After, l.Skip = &Place{CreatedAt: last.CreatedAt, ID: last.ID}, 0
		if size >= maxListBytes {
			return views, true, s.readEndsOf(ctx, views)
		}
		// As many as fit if they are like those that were read.
		next = min(left, max(1, (maxListBytes-size)*len(views)/max(size, 1)))
	}
	return views, true, s.readEndsOf(ctx, views)
}

const (
	// maxListBytes bounds the payloads in a list, to within the payloads of firstRead jobs.
	maxListBytes = 8 << 20
	// firstRead is how many jobs are read before their size is known.
	firstRead = 8
)

// read reads jobs by one statement.
func (s *Service) read(ctx context.Context, by access.Caller, l List) ([]View, error) {
	after := cmp.Or(l.After, &firstPlace)
	rows, err := s.queries.ListJobs(ctx, db.ListJobsParams{
		Namespace: by.Namespace, Status: l.Status, AfterCreatedAt: after.CreatedAt, AfterID: after.ID, SkipRows: l.Skip, MaxRows: l.Max,
	})
	views := make([]View, len(rows))
	for i := range rows {
		views[i] = newView(db.GetJobRow(rows[i]))
	}
	return views, err
}

// firstPlace is before each job in a list.
var firstPlace = Place{CreatedAt: clock.EndOfTime}

// Count counts the jobs of a status, or all, up to a number.
func (s *Service) Count(ctx context.Context, by access.Caller, status *db.JobStatus, upTo int32) (int64, error) {
	return s.queries.CountJobs(ctx, db.CountJobsParams{Namespace: by.Namespace, Status: status, MaxCount: upTo})
}
