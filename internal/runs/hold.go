package runs

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/internal/clock"
	"punctual/internal/database"
)

// Blackouts knows the times in which no run of a namespace starts.
type Blackouts interface {
	// Refresh reads them, unless they are known. It is called before a claim.
	Refresh(ctx context.Context) error
	// Until returns the end of the blackout that holds at an instant; zero if there is none.
	Until(namespace string, at time.Time) time.Time
	// Lock returns Until for some namespaces, of which the blackouts stay as they are until the end
	// of the transaction.
	Lock(ctx context.Context, tx *db.Queries, namespaces []string) (func(string, time.Time) time.Time, error)
}

// Refresh makes sure that the blackouts are known. Call it before a claim.
func (s Store) Refresh(ctx context.Context) error {
	if s.Blackouts == nil {
		return nil
	}
	return s.Blackouts.Refresh(ctx)
}

// Held returns when the blackout is over in which a claimed run would start, or zero if there is
// none. A run that is claimed only to be ended is not held.
func (s Store) Held(now time.Time, row *db.ClaimRow) time.Time {
	due := &row.Claimed
	if s.Blackouts == nil || due.CancelReason != nil || due.Attempt > row.Job.MaxAttempts || row.Job.DeletedAt != nil {
		return time.Time{}
	}
	return s.Blackouts.Until(row.Job.Namespace, clock.Later(now, due.ReadyAt))
}

// Hold parts the runs of a claim into those that go on, in order, and those that a blackout holds,
// for PutBack.
func (s Store) Hold(now time.Time, rows []db.ClaimRow) (going, held []db.ClaimRow) {
	for i := range rows {
		if until := s.Held(now, &rows[i]); !until.IsZero() {
			if held == nil {
				going = append(make([]db.ClaimRow, 0, len(rows)), rows[:i]...)
			}
			held = append(held, rows[i])
		} else if held != nil {
			going = append(going, rows[i])
		}
	}
	if held == nil {
		return rows, nil
	}
	return going, held
}

// holdAgain is the wait before runs are put back that could not be.
const holdAgain = time.Second

// PutBack puts runs back that a blackout holds, until its end. It tries again and again until ctx
// ends: until then nobody else can claim the runs.
func (s Store) PutBack(ctx context.Context, now time.Time, held []db.ClaimRow) {
	for {
		err := s.putBack(ctx, now, held)
		if err == nil || ctx.Err() != nil {
			return
		}
		s.Logger.ErrorContext(ctx, "could not put runs back that a blackout holds; it is tried again",
			"runs", len(held), "error", err)
		clock.Sleep(ctx, holdAgain)
	}
}

// putBack goes by the blackouts that the database has: this instance may not have heard of a
// change, and the change frees only what was put back before it.
func (s Store) putBack(ctx context.Context, now time.Time, held []db.ClaimRow) error {
	var params db.HoldRunsParams
	err := pgx.BeginTxFunc(ctx, s.Pool, database.Locking, func(tx pgx.Tx) error {
		var names []string
		for i := range held {
			names = append(names, held[i].Job.Namespace)
		}
		slices.Sort(names)
		q := db.New(tx)
		until, err := s.Blackouts.Lock(ctx, q, slices.Compact(names))
		if err != nil {
			return err
		}
		params = db.HoldRunsParams{}
		for i := range held {
			due := &held[i].Claimed
			at := clock.Later(now, due.ReadyAt)
			params.JobIds = append(params.JobIds, due.JobID)
			params.ScheduledFors = append(params.ScheduledFors, due.ScheduledFor)
			params.Tokens = append(params.Tokens, due.Token)
			params.Untils = append(params.Untils, clock.Later(at, until(held[i].Job.Namespace, at)))
		}
		return q.HoldRuns(ctx, params)
	})
	if err != nil {
		return fmt.Errorf("hold runs: %w", err)
	}
	for i := range held {
		due := &held[i].Claimed
		s.Due(firstQueue(due), params.Untils[i])
		if due.ConcurrencyGroup != nil {
			s.Due(due.ConcurrencyGroup, now) // another run may get its place
		}
	}
	return nil
}
