package runs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/events"
)

// Jobs changes jobs.
type Jobs interface {
	// Pause pauses a job and stores the reason for people to read. It does nothing to a job that
	// is deleted or not active.
	Pause(ctx context.Context, by access.Caller, job uuid.UUID, reason string) error
	// CompleteUsedUp completes a job that has had as many runs as its maxRuns, and reports whether
	// it did. It does nothing to a job that is deleted or not active.
	CompleteUsedUp(ctx context.Context, by access.Caller, job uuid.UUID) (bool, error)
}

// Store opens claimed runs and stores how they ended.
type Store struct {
	// Pool is for what one transaction stores, and Queries for the rest.
	Pool    *pgxpool.Pool
	Queries *db.Queries
	Logger  *slog.Logger
	// Events tells what happens to runs. Nil: nobody is told.
	Events *events.Teller
	// Jobs changes the job of a run that requires it by how it ended.
	Jobs Jobs
	// Due is told when something has become due at an instant, for the workers of a queue, or for
	// instances if that is nil. It must not block.
	Due func(queue *string, readyAt time.Time)
	// Blackouts are the times in which no run starts. Nil: none.
	Blackouts Blackouts
	// Observe gets to know of each run that has ended and is stored. Nil: nobody looks on.
	Observe events.Observer
	// Tracer makes traces of the runs, which needs Now, too. Nil: nobody does.
	Tracer Tracer
	// LogRuns is whether each run that ends is logged. Failed runs are always logged.
	LogRuns bool
	// Meter measures what is stored. Nil: nobody does. With it, Now is the database's time.
	Meter Meter
	Now   func() time.Time
}

// Saved is what became of a batch that was to be stored. What it does not name is stored.
type Saved struct {
	// Lost are the runs that were completed before, or that others have taken over.
	Lost []*Ended
	// Refused are the runs that the database refuses to store because of what they say. Hand each
	// to SaveRefused.
	Refused []Refused
	// Left are the runs that are still to be stored, because of Err. Repeating a run whose commit
	// has an unknown outcome is harmless.
	Left []*Ended
	Err  error
}

// Save stores how runs ended, each all or nothing, guarded by the tokens of their claims. If the
// database refuses what one of them says, it splits the batch, so that the others are stored.
func (s Store) Save(ctx context.Context, batch []*Ended) Saved {
	if len(batch) == 0 {
		return Saved{}
	}
	lost, left, err := s.saveTogether(ctx, batch)
	saved := Saved{Lost: lost}
	half := len(left) / 2
	switch {
	case err == nil:
	case !isRefusal(err):
		saved.Left, saved.Err = left, err
	case half == 0:
		saved.Refused = []Refused{{left[0], err}}
	default:
		for _, part := range [][]*Ended{left[:half:half], left[half:]} {
			of := s.Save(ctx, part)
			saved.Lost = append(saved.Lost, of.Lost...)
			saved.Refused = append(saved.Refused, of.Refused...)
			saved.Left = append(saved.Left, of.Left...)
			saved.Err = errors.Join(saved.Err, of.Err)
		}
	}
	return saved
}

// saveTogether stores a batch in one transaction for the runs that have ended and one statement for
// those that are to be tried again. It returns the runs that were completed or taken over by
// others, and, with an error, those that are still to be stored.
func (s Store) saveTogether(ctx context.Context, batch []*Ended) (lost, left []*Ended, err error) {
	if s.Meter != nil {
		begun := time.Now()
		defer func() { s.measureBatch(batch, begun, err) }()
	}
	var again, over []*Ended
	for _, e := range batch {
		if e.retryAt.IsZero() {
			over = append(over, e)
		} else {
			again = append(again, e)
		}
	}
	if len(again) > 0 {
		rows, err := s.Queries.RequeueFailed(ctx, requeue(again))
		if err != nil {
			return nil, batch, fmt.Errorf("put failed runs back: %w", err)
		}
		lost = s.follow(ctx, again, storedOf(again, rows, func(r db.RequeueFailedRow) key { return keyOf(r.JobID, r.ScheduledFor) }))
	}
	// If what comes after a run was changed since its claim, it is computed again. Each repetition
	// is for another change, so this ends.
	for len(over) > 0 {
		rows, err := s.complete(ctx, over)
		if err != nil {
			return lost, over, err
		}
		missing := s.follow(ctx, over, storedOf(over, rows, func(r db.CompleteRow) key { return keyOf(r.JobID, r.ScheduledFor) }))
		if len(missing) == 0 {
			break
		}
		revised, gone, err := s.revise(ctx, missing)
		if err != nil {
			return lost, missing, err
		}
		over, lost = revised, append(lost, gone...)
	}
	return lost, nil, nil
}

// key is what a run's row is found by. The instant counts in whole microseconds, as in PostgreSQL.
type key struct {
	job    uuid.UUID
	micros int64
}

func keyOf(job uuid.UUID, scheduledFor time.Time) key { return key{job, scheduledFor.UnixMicro()} }

// follow does what follows from the runs of a batch that were stored: it logs their ends, announces
// what they have made due, and changes jobs that are to be paused or completed. It returns the runs
// that were not stored.
func (s Store) follow(ctx context.Context, batch []*Ended, stored map[key]bool) (missing []*Ended) {
	var first time.Time // what has become due for instances, which are told once
	var offSchedule []*Ended
	for _, e := range batch {
		if stored != nil && !stored[keyOf(e.Due.JobID, e.Due.ScheduledFor)] {
			missing = append(missing, e)
			continue
		}
		if s.Tracer != nil && s.isKept(e) {
			s.Tracer.Ended(e.traced())
		}
		if e.retryAt.IsZero() {
			s.logEnd(ctx, e)
			s.observe(e)
			if e.isOffSchedule() {
				offSchedule = append(offSchedule, e)
			}
		}
		next, queue, group := cmp.Or(e.retryAt, e.step.Next), e.nextQueue(), e.Due.ConcurrencyGroup
		if group != nil {
			s.Due(group, e.finished) // another run may get its place
		}
		switch {
		case next.IsZero(), group != nil && queue != nil && *queue == *group: // to look there finds what is next
		case queue != nil:
			s.Due(queue, next)
		case first.IsZero() || next.Before(first):
			first = next
		}
	}
	if !first.IsZero() {
		s.Due(nil, first)
	}
	if len(offSchedule) > 0 {
		s.changeJobs(ctx, offSchedule)
	}
	return missing
}

// storedOf returns the keys of the runs that a statement has stored of a batch, or nil if it stored
// all of them, as it almost always does.
func storedOf[Row any](batch []*Ended, rows []Row, keyOf func(Row) key) map[key]bool {
	if len(rows) == len(batch) {
		return nil
	}
	return keysOf(rows, keyOf)
}

func keysOf[Row any](rows []Row, keyOf func(Row) key) map[key]bool {
	keys := make(map[key]bool, len(rows))
	for _, row := range rows {
		keys[keyOf(row)] = true
	}
	return keys
}

// revise returns the runs whose claim still stands, with what comes next computed again, and the
// others.
func (s Store) revise(ctx context.Context, batch []*Ended) (revised, gone []*Ended, err error) {
	var params db.ListRevisedParams
	for _, e := range batch {
		params.JobIds = append(params.JobIds, e.Due.JobID)
		params.ScheduledFors = append(params.ScheduledFors, e.Due.ScheduledFor)
		params.Tokens = append(params.Tokens, e.Due.Token)
	}
	rows, err := s.Queries.ListRevised(ctx, params)
	if err != nil {
		return nil, nil, fmt.Errorf("read what has become of runs: %w", err)
	}
	found := make(map[key]*db.ListRevisedRow, len(rows))
	for i := range rows {
		found[keyOf(rows[i].JobID, rows[i].ScheduledFor)] = &rows[i]
	}
	for _, e := range batch {
		if row, ok := found[keyOf(e.Due.JobID, e.Due.ScheduledFor)]; ok {
			e.revise(row)
			revised = append(revised, e)
		} else {
			gone = append(gone, e)
		}
	}
	return revised, gone, nil
}
