package runs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"

	"punctual/gen/db"
	"punctual/internal/database"
	"punctual/internal/history"
)

// complete completes runs, and tells what that means. It creates the partitions that are missing
// for them, and leaves an occurrence that has a run already as it is.
func (s Store) complete(ctx context.Context, batch []*Ended) ([]db.CompleteRow, error) {
	happened, err := s.happened(ctx, batch)
	if err != nil {
		return nil, err
	}
	params := completion(batch)
	for hasPartitions := false; ; {
		rows, err := s.completeAndTell(ctx, batch, params, &happened)
		switch {
		case isMissingPartition(err) && !hasPartitions:
			err, hasPartitions = s.createPartitions(ctx, batch), true
		case isStored(err):
			err = s.leaveStored(ctx, batch, err)
		case isTaken(err):
			err = s.stepAside(ctx, params, batch)
		case err == nil:
			return rows, nil
		}
		if err != nil {
			return nil, fmt.Errorf("complete runs: %w", err)
		}
	}
}

// createPartitions creates the partitions that the runs of a completion are stored in.
func (s Store) createPartitions(ctx context.Context, batch []*Ended) error {
	scheduledFors := make([]time.Time, 0, len(batch))
	for _, e := range batch {
		scheduledFors = append(scheduledFors, e.Due.ScheduledFor)
		if e.skippedBehindIt() > 0 {
			scheduledFors = append(scheduledFors, e.step.SkippedFrom)
		}
	}
	return history.CreatePartitions(ctx, s.Queries, scheduledFors)
}

// leaveStored makes a completion store no run for an occurrence that has one: a job comes to the
// same instant again if its schedule is changed to and fro. It fails if it finds no such run,
// because the completion would be repeated for ever.
func (s Store) leaveStored(ctx context.Context, batch []*Ended, refusal error) error {
	var p db.ListStoredParams
	for _, e := range batch {
		p.JobIds, p.ScheduledFors = append(p.JobIds, e.Due.JobID), append(p.ScheduledFors, e.Due.ScheduledFor)
	}
	p.Earliest, p.Latest = slices.MinFunc(p.ScheduledFors, time.Time.Compare), slices.MaxFunc(p.ScheduledFors, time.Time.Compare)
	rows, err := s.Queries.ListStored(ctx, p)
	if err != nil {
		return fmt.Errorf("read which runs are stored: %w", err)
	}
	stored := keysOf(rows, func(r db.ListStoredRow) key { return keyOf(r.JobID, r.ScheduledFor) })
	found := false
	for _, e := range batch {
		if e.isRecorded() && stored[keyOf(e.Due.JobID, e.Due.ScheduledFor)] {
			e.hasRun, found = true, true
			s.Logger.WarnContext(ctx, "an occurrence has a run already; that run is kept and the new one is not stored", "runId", e.RunID())
		}
	}
	if !found {
		return fmt.Errorf("no run is found that is stored already: %w", refusal)
	}
	return nil
}

// stepAside makes schedules go on a microsecond later whose next occurrence has a row already: a
// run that somebody has asked for at that very instant, before the schedule was changed to come
// there. It fails if it finds none, because the completion would be repeated for ever.
func (s Store) stepAside(ctx context.Context, c db.CompleteParams, batch []*Ended) error {
	rows, err := s.Queries.ListTaken(ctx, db.ListTakenParams{JobIds: c.JobIds, ScheduledFors: c.NextFors})
	if err != nil {
		return fmt.Errorf("read which instants are taken: %w", err)
	}
	taken := keysOf(rows, func(r db.ListTakenRow) key { return keyOf(r.JobID, r.ScheduledFor) })
	found := false
	for i, next := range c.NextFors {
		isBuffered := batch[i].Due.BufferedFor != nil && batch[i].Due.BufferedFor.Equal(next)
		if taken[keyOf(c.JobIds[i], next)] && !isBuffered {
			c.NextFors[i], found = next.Add(time.Microsecond), true
		}
	}
	if !found {
		return errors.New("an instant is taken already, and none is found")
	}
	return nil
}

// isMissingPartition tells the error for a row that no partition takes from other violated checks,
// which are of the same class but name their constraint. On Citus, it is an internal error, as some
// others are.
func isMissingPartition(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pg.Code == pgerrcode.CheckViolation && pg.ConstraintName == "" || pg.Code == pgerrcode.InternalError)
}

// isStored tells the error for an occurrence that has a run from the error for a row of due that
// exists. The history has a table for each day.
func isStored(err error) bool { return strings.HasPrefix(database.ViolatedUnique(err), "runs_") }

// isTaken tells the error for a row of due that exists from that for an occurrence that has a run.
func isTaken(err error) bool { return strings.HasPrefix(database.ViolatedUnique(err), "due_") }
