package runs

import (
	"context"
	"fmt"
	"time"

	"punctual/gen/db"
	"punctual/internal/clock"
)

// Blackouts knows the times in which no run of a namespace starts.
type Blackouts interface {
	// Refresh reads them, unless they are known. It is called before a claim.
	Refresh(ctx context.Context) error
	// Until returns the end of the blackout that holds at an instant; zero if there is none.
	Until(namespace string, at time.Time) time.Time
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
func (s Store) Hold(now time.Time, rows []db.ClaimRow) (going, held []db.ClaimRow, params db.HoldRunsParams) {
	for i := range rows {
		if until := s.Held(now, &rows[i]); !until.IsZero() {
			if held == nil {
				going = append(make([]db.ClaimRow, 0, len(rows)), rows[:i]...)
			}
			held = append(held, rows[i])
			params.JobIds = append(params.JobIds, rows[i].Claimed.JobID)
			params.ScheduledFors = append(params.ScheduledFors, rows[i].Claimed.ScheduledFor)
			params.Tokens = append(params.Tokens, rows[i].Claimed.Token)
			params.Untils = append(params.Untils, until)
		} else if held != nil {
			going = append(going, rows[i])
		}
	}
	if held == nil {
		return rows, nil, params
	}
	return going, held, params
}

// holdAgain is the wait before runs are put back that could not be.
const holdAgain = time.Second

// PutBack stores what Hold has found, again and again until ctx ends: until then nobody else can
// claim the runs.
func (s Store) PutBack(ctx context.Context, params db.HoldRunsParams) {
	for {
		err := s.Queries.HoldRuns(ctx, params)
		if err == nil || ctx.Err() != nil {
			return
		}
		s.Logger.ErrorContext(ctx, "could not put runs back that a blackout holds; it is tried again",
			"runs", len(params.JobIds), "error", fmt.Errorf("hold runs: %w", err))
		clock.Sleep(ctx, holdAgain)
	}
}
