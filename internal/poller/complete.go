package poller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"

	"punctual/gen/db"
	"punctual/internal/runid"
	"punctual/internal/schedule"
)

// complete hands over a run to be stored. Whoever finds nobody storing does it, for all that end meanwhile: the busier,
// the larger the batches.
func (p *Poller) complete(e ended) {
	if !p.results.add(e) {
		return
	}
	for {
		batch := p.results.take()
		if len(batch) == 0 {
			return
		}
		p.store(batch)
	}
}

// store completes a batch. It tries again until the batch is stored or its lease is lost: repeating is harmless, so a
// commit of unknown outcome is simply repeated. When the instance stops, it tries once.
func (p *Poller) store(batch []ended) {
	defer func() {
		for _, e := range batch {
			close(e.stored)
		}
	}()
	missing := batch
	for settled := false; ; {
		missing = slices.DeleteFunc(slices.Clone(missing), func(e ended) bool { return e.held.Context.Err() != nil })
		if len(missing) == 0 {
			return
		}
		left, err := p.storeOnce(missing[0].held.Context, missing)
		switch {
		case err != nil:
			p.Logger.Error("completing failed", "runs", len(missing), "error", err)
			if p.work.Err() != nil {
				return
			}
			sleep(missing[0].held.Context, retryDelay)
		case len(left) == 0:
			return
		case !settled:
			// Perhaps an edit of the job changed the row while the statement ran; repeating it settles that.
			missing, settled = left, true
		default:
			for _, e := range left {
				p.Logger.Warn("run was completed or taken over by others",
					"runId", runid.New(e.row.JobID, e.row.ScheduledFor), "token", e.row.Token)
			}
			return
		}
	}
}

// storeOnce completes a batch in one statement and returns what that did not store. Where a partition of runs is
// missing, it is made.
func (p *Poller) storeOnce(ctx context.Context, batch []ended) ([]ended, error) {
	params := p.completion(batch)
	stored, err := p.queries.Complete(ctx, params)
	if isMissingPartition(err) {
		if err := p.createPartitions(ctx, params); err != nil {
			return nil, err
		}
		stored, err = p.queries.Complete(ctx, params)
	}
	if err != nil {
		return nil, fmt.Errorf("complete: %w", err)
	}
	for _, next := range params.NextFors {
		p.alarm.ring(next.Add(-claimLead))
	}
	if len(stored) == len(batch) {
		return nil, nil
	}
	seen := make(map[uuid.UUID]bool, len(stored))
	for _, s := range stored {
		seen[runid.New(s.JobID, s.ScheduledFor)] = true
	}
	var left []ended
	for _, e := range batch {
		if !seen[runid.New(e.row.JobID, e.row.ScheduledFor)] {
			left = append(left, e)
		}
	}
	return left, nil
}

// completion lays a batch out for the statement, and says what comes next for each run's job.
func (p *Poller) completion(batch []ended) db.CompleteParams {
	var c db.CompleteParams
	now := p.clock.Now()
	for _, e := range batch {
		grid := schedule.NewInterval(e.row.AnchorAt, e.row.IntervalSeconds)
		next, missed := grid.Advance(e.row.ScheduledFor, now)
		c.JobIds = append(c.JobIds, e.row.JobID)
		c.ScheduledFors = append(c.ScheduledFors, e.row.ScheduledFor)
		c.Tokens = append(c.Tokens, e.row.Token)
		c.Attempts = append(c.Attempts, e.attempt)
		c.StartedAts = append(c.StartedAts, e.started)
		c.FinishedAts = append(c.FinishedAts, e.finished)
		c.Statuses = append(c.Statuses, string(e.status))
		c.Reasons = append(c.Reasons, string(e.reason))
		c.Errors = append(c.Errors, e.error)
		c.NextFors = append(c.NextFors, next)
		c.MissedFors = append(c.MissedFors, grid.Next(e.row.ScheduledFor))
		c.MissedCounts = append(c.MissedCounts, int32(missed))
	}
	return c
}

// createPartitions makes the partitions that the runs of a completion go to.
func (p *Poller) createPartitions(ctx context.Context, c db.CompleteParams) error {
	days := map[time.Time]bool{}
	for i := range c.JobIds {
		days[c.ScheduledFors[i].UTC().Truncate(24*time.Hour)] = true
		if c.MissedCounts[i] > 0 {
			days[c.MissedFors[i].UTC().Truncate(24*time.Hour)] = true
		}
	}
	for day := range days {
		if _, err := p.queries.CreateRunsPartition(ctx, day); err != nil {
			return fmt.Errorf("create the partition of runs for %s: %w", day.Format(time.DateOnly), err)
		}
	}
	return nil
}

// isMissingPartition tells the error for a row that no partition takes from other violated checks, which are of the
// same class but name their constraint.
func isMissingPartition(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == pgerrcode.CheckViolation && pg.ConstraintName == ""
}
