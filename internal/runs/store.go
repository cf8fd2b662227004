package runs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"

	"punctual/gen/db"
	"punctual/internal/history"
	"punctual/internal/runid"
)

// Pauser pauses jobs.
type Pauser interface {
	// Pause pauses a job and stores the reason for people to read. It does nothing to a job that
	// is deleted or not active.
	Pause(ctx context.Context, job uuid.UUID, reason string) error
}

// Store stores outcomes.
type Store struct {
	Queries *db.Queries
	Logger  *slog.Logger
	// Pauser pauses the job of a run that says so by how it ended.
	Pauser Pauser
	// Due is told when something has become due at an instant, for the workers of a queue, or for instances where there
	// is none. It must not block.
	Due func(queue *string, readyAt time.Time)
}

// Batch stores outcomes, each all or nothing, guarded by the tokens of their claims. It returns those that were completed
// or taken over by others, and, with an error, those that are still to be stored: to repeat them is harmless, so a commit
// of unknown outcome is simply repeated.
func (s Store) Batch(ctx context.Context, batch []*Outcome) (lost, left []*Outcome, err error) {
	var again, over []*Outcome
	for _, o := range batch {
		if o.retryAt.IsZero() {
			over = append(over, o)
		} else {
			again = append(again, o)
		}
	}
	if len(again) > 0 {
		rows, err := s.Queries.Retry(ctx, retry(again))
		if err != nil {
			return nil, batch, fmt.Errorf("put back to be tried again: %w", err)
		}
		lost = s.settle(ctx, again, storedOf(again, rows, func(r db.RetryRow) key { return keyOf(r.JobID, r.ScheduledFor) }))
	}
	// Where what comes after a run was changed since its claim, it is computed again. Each time is another change, so
	// this ends.
	for len(over) > 0 {
		rows, err := s.complete(ctx, completion(over))
		if err != nil {
			return lost, over, err
		}
		missing := s.settle(ctx, over, storedOf(over, rows, func(r db.CompleteRow) key { return keyOf(r.JobID, r.ScheduledFor) }))
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

// settle tells of what the stored ones have made due, and returns the others.
func (s Store) settle(ctx context.Context, batch []*Outcome, stored map[key]bool) (missing []*Outcome) {
	var first time.Time // of what is for instances: they are told once
	for _, o := range batch {
		if stored != nil && !stored[keyOf(o.Row.JobID, o.Row.ScheduledFor)] {
			missing = append(missing, o)
			continue
		}
		if o.isBeside() && o.retryAt.IsZero() {
			s.settleBeside(ctx, o)
		}
		next, queue := cmp.Or(o.retryAt, o.step.Next), o.nextQueue()
		switch {
		case next.IsZero():
		case queue != nil:
			s.Due(queue, next)
		case first.IsZero() || next.Before(first):
			first = next
		}
		if o.Row.Job.ConcurrencyGroup != nil && (first.IsZero() || o.finished.Before(first)) {
			first = o.finished // another of its group may begin
		}
	}
	if !first.IsZero() {
		s.Due(nil, first)
	}
	return missing
}

// storedOf returns the keys of what a statement has stored of a batch; nil: all of it, almost always.
func storedOf[Row any](batch []*Outcome, rows []Row, keyOf func(Row) key) map[key]bool {
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

// revise returns those whose claim still stands, with what comes next computed again, and the others.
func (s Store) revise(ctx context.Context, batch []*Outcome) (revised, gone []*Outcome, err error) {
	var params db.ListRevisedParams
	for _, o := range batch {
		params.JobIds = append(params.JobIds, o.Row.JobID)
		params.ScheduledFors = append(params.ScheduledFors, o.Row.ScheduledFor)
		params.Tokens = append(params.Tokens, o.Row.Token)
	}
	rows, err := s.Queries.ListRevised(ctx, params)
	if err != nil {
		return nil, nil, fmt.Errorf("look what has become of runs: %w", err)
	}
	found := make(map[key]db.ListRevisedRow, len(rows))
	for _, row := range rows {
		found[keyOf(row.JobID, row.ScheduledFor)] = row
	}
	for _, o := range batch {
		if row, ok := found[keyOf(o.Row.JobID, o.Row.ScheduledFor)]; ok {
			o.revise(row)
			revised = append(revised, o)
		} else {
			gone = append(gone, o)
		}
	}
	return revised, gone, nil
}

// complete completes runs. It makes the partitions that are missing for them, and where an occurrence has a run already, it
// leaves that as it is.
func (s Store) complete(ctx context.Context, params db.CompleteParams) ([]db.CompleteRow, error) {
	for {
		rows, err := s.Queries.Complete(ctx, params)
		switch {
		case isMissingPartition(err):
			err = s.createPartitions(ctx, params)
		case isStored(err):
			err = s.leaveStored(ctx, params)
		case err == nil:
			return rows, nil
		}
		if err != nil {
			return nil, fmt.Errorf("complete: %w", err)
		}
	}
}

// createPartitions creates the partitions that the runs of a completion are stored in.
func (s Store) createPartitions(ctx context.Context, c db.CompleteParams) error {
	scheduledFors := slices.Clone(c.ScheduledFors)
	for i, count := range c.PassedCounts {
		if count > 0 {
			scheduledFors = append(scheduledFors, c.PassedFors[i])
		}
	}
	return history.CreatePartitions(ctx, s.Queries, scheduledFors)
}

// leaveStored has a completion store no run where there is one: an instant that a job has run for comes again where its
// schedule is changed to and fro. It fails where there is none, lest the completion be repeated for ever.
func (s Store) leaveStored(ctx context.Context, c db.CompleteParams) error {
	rows, err := s.Queries.ListStored(ctx, db.ListStoredParams{
		JobIds: c.JobIds, ScheduledFors: c.ScheduledFors,
		Earliest: slices.MinFunc(c.ScheduledFors, time.Time.Compare), Latest: slices.MaxFunc(c.ScheduledFors, time.Time.Compare),
	})
	if err != nil {
		return fmt.Errorf("look which runs are stored: %w", err)
	}
	stored := keysOf(rows, func(r db.ListStoredRow) key { return keyOf(r.JobID, r.ScheduledFor) })
	left := false
	for i, kept := range c.Kept {
		if kept && stored[keyOf(c.JobIds[i], c.ScheduledFors[i])] {
			c.Kept[i], left = false, true
			s.Logger.WarnContext(ctx, "occurrence has a run already, which is left", "runId", runid.New(c.JobIds[i], c.ScheduledFors[i]))
		}
	}
	if !left {
		return errors.New("a run is stored already, and none is found")
	}
	return nil
}

// isMissingPartition tells the error for a row that no partition takes from other violated checks, which are of the
// same class but name their constraint.
func isMissingPartition(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == pgerrcode.CheckViolation && pg.ConstraintName == ""
}

// isStored tells the error for an occurrence that has a run from that for a due row that is there: runs has a table for each day.
func isStored(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == pgerrcode.UniqueViolation && strings.HasPrefix(pg.TableName, "runs_")
}

// IsRefusal tells an error for what a row says, which it will say again, from one that may pass.
func IsRefusal(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pgerrcode.IsDataException(pg.Code) || pgerrcode.IsIntegrityConstraintViolation(pg.Code))
}
