package jobs

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/clock"
	"punctual/internal/history"
	"punctual/internal/labels"
)

// recently is how far back a list of runs reaches that is not told.
const recently = 24 * time.Hour

// ahead is how far from now the instant of a run can be that was due when it was stored: one may
// follow a run that was claimed ahead.
const ahead = time.Minute

// RunFilter says which runs of a namespace are meant: those that match all of its fields that are
// not empty.
type RunFilter struct {
	JobID *uuid.UUID
	// Labels selects the runs of the jobs that it selects. A deleted job has no labels any more.
	Labels                      labels.Selector
	Statuses, Reasons, Triggers []string
	// From is the first instant, and To the first one after the last. Default of To: now. Default
	// of From: a day before To.
	From, To *time.Time
}

// IsEmpty reports whether the filter gives an end that is not after its beginning.
func (f *RunFilter) IsEmpty() bool { return f.From != nil && f.To != nil && !f.From.Before(*f.To) }

// FindRuns returns the runs that match after a place, newest first, at most so many, and where the
// list goes on, if it does. It may return fewer runs, or none, although the list goes on.
func (s *Service) FindRuns(ctx context.Context, by access.Caller, f RunFilter, after history.Place, limit int32) (runs []Run, next *history.Place, err error) {
	found := history.Filter{Namespace: by.Namespace, Labels: f.Labels, Statuses: f.Statuses, Reasons: f.Reasons, Triggers: f.Triggers}
	now, err := s.databaseTime(ctx, s.queries)
	if err != nil {
		return nil, nil, err
	}
	found.To = *cmp.Or(f.To, &now)
	found.From = *cmp.Or(f.From, new(found.To.Add(-recently)))
	found.Ahead = now.Add(ahead)
	if found.To.After(found.Ahead) {
		last, err := s.queries.LastAskedFor(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("read when the last open run is due: %w", err)
		}
		found.To = clock.Earlier(found.To, clock.Later(found.Ahead, last.Add(time.Microsecond)))
	}
	if f.JobID != nil {
		found.JobIDs = []uuid.UUID{*f.JobID}
	}
	rows, next, err := history.Find(ctx, s.Pool, found, after, int(limit))
	if err != nil {
		return nil, nil, err
	}
	runs = make([]Run, len(rows))
	for i, row := range rows {
		runs[i] = Run(row)
	}
	return runs, next, nil
}

// FindRunsOf is FindRuns for one job of the caller's namespace. From has no default.
func (s *Service) FindRunsOf(
	ctx context.Context, by access.Caller, job uuid.UUID, f RunFilter, after history.Place, limit int32,
) (runs []Run, next *history.Place, err error) {
	f.To = cmp.Or(f.To, &clock.EndOfTime)
	if len(f.Statuses) > 0 || len(f.Reasons) > 0 || len(f.Triggers) > 0 || f.From != nil {
		f.JobID, f.From = &job, cmp.Or(f.From, new(time.Unix(0, 0)))
		return s.FindRuns(ctx, by, f, after, limit)
	}
	rows, err := history.List(ctx, s.Pool, db.ListRunsParams{JobID: job, Before: clock.Earlier(after.At, *f.To), MaxRows: limit + 1})
	if err != nil {
		return nil, nil, err
	}
	if len(rows) > int(limit) {
		rows = rows[:limit]
		next = &history.Place{At: rows[limit-1].ScheduledFor}
	}
	runs = make([]Run, len(rows))
	for i, row := range rows {
		runs[i] = Run(row)
	}
	return runs, next, nil
}
