package outcome

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/gen/db"
)

// Store stores outcomes.
type Store struct {
	Pool    *pgxpool.Pool
	Queries *db.Queries
	Logger  *slog.Logger
	// Due is told when something has become due at an instant, for the workers of a queue, or for instances where there
	// is none. It must not block.
	Due func(queue *string, readyAt time.Time)
}

// Batch stores outcomes, each all or nothing, all of them guarded by the tokens of their claims. It returns those that
// were completed or taken over by others, and, with an error, those that are still to be stored: to repeat them is
// harmless, so a commit of unknown outcome is simply repeated.
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
		lost = s.settle(ctx, again, keysOf(rows, func(r db.RetryRow) key { return key(r) }))
	}
	// Where what comes after a run was changed since its claim, it is computed again. Each time is another change, so
	// this ends.
	for len(over) > 0 {
		rows, err := s.complete(ctx, completion(over))
		if err != nil {
			return lost, over, err
		}
		missing := s.settle(ctx, over, keysOf(rows, func(r db.CompleteRow) key { return key(r) }))
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

// key is what a run's row is found by.
type key struct {
	JobID        uuid.UUID
	ScheduledFor time.Time
}

func (o *Outcome) key() key { return key{o.Row.JobID, o.Row.ScheduledFor.UTC()} }

func keysOf[Row any](rows []Row, of func(Row) key) []key {
	keys := make([]key, len(rows))
	for i, row := range rows {
		keys[i] = of(row)
		keys[i].ScheduledFor = keys[i].ScheduledFor.UTC()
	}
	return keys
}

// settle tells of what the stored ones have made due, and returns the others.
func (s Store) settle(ctx context.Context, batch []*Outcome, stored []key) (missing []*Outcome) {
	var isStored map[key]bool // nil: all
	if len(stored) < len(batch) {
		isStored = make(map[key]bool, len(stored))
		for _, k := range stored {
			isStored[k] = true
		}
	}
	for _, o := range batch {
		if isStored != nil && !isStored[o.key()] {
			missing = append(missing, o)
			continue
		}
		if o.isBeside() && o.retryAt.IsZero() {
			s.settleBeside(ctx, o)
		}
		if next := cmp.Or(o.retryAt, o.step.Next); !next.IsZero() {
			s.Due(o.Row.Queue, next)
		}
		if o.Row.Job.ConcurrencyGroup != nil {
			s.Due(nil, time.Time{}) // another of its group may begin
		}
	}
	return missing
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
		found[key{row.JobID, row.ScheduledFor.UTC()}] = row
	}
	for _, o := range batch {
		if row, ok := found[o.key()]; ok {
			o.revise(row)
			revised = append(revised, o)
		} else {
			gone = append(gone, o)
		}
	}
	return revised, gone, nil
}

// complete completes runs, and makes partitions that are missing for them.
func (s Store) complete(ctx context.Context, params db.CompleteParams) ([]db.CompleteRow, error) {
	rows, err := s.Queries.Complete(ctx, params)
	if isMissingPartition(err) {
		if err := s.createPartitions(ctx, params); err != nil {
			return nil, err
		}
		rows, err = s.Queries.Complete(ctx, params)
	}
	if err != nil {
		return nil, fmt.Errorf("complete: %w", err)
	}
	return rows, nil
}

// createPartitions makes the partitions that the runs of a completion go to.
func (s Store) createPartitions(ctx context.Context, c db.CompleteParams) error {
	days := map[time.Time]bool{}
	for i := range c.JobIds {
		days[c.ScheduledFors[i].UTC().Truncate(24*time.Hour)] = true
		if c.PassedCounts[i] > 0 {
			days[c.PassedFors[i].UTC().Truncate(24*time.Hour)] = true
		}
	}
	for day := range days {
		if _, err := s.Queries.CreateRunsPartition(ctx, day); err != nil {
			return fmt.Errorf("create the partition of runs for %s: %w", day.Format(time.DateOnly), err)
		}
	}
	return nil
}

// isMissingPartition tells the error for a row that no partition takes from other violated checks, which are of the
// same class but name their constraint.
func isMissingPartition(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == pgerrcode.CheckViolation && pg.ConstraintName == ""
}
