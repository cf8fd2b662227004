package poller

import (
	"cmp"
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
)

// complete hands over a run to be stored. Whoever finds nobody storing does it, for all that end meanwhile: the busier,
// the larger the batches.
func (p *Poller) complete(e *ended) {
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
func (p *Poller) store(batch []*ended) {
	defer func() {
		for _, e := range batch {
			e.settle()
		}
	}()
	missing := batch
	for settled := false; ; {
		missing = slices.DeleteFunc(slices.Clone(missing), p.isLost)
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

// isLost tells whether a run's lease is gone and with it the right to store the run; it says so in the log.
func (p *Poller) isLost(e *ended) bool {
	if e.held.Held() {
		return false
	}
	p.Logger.Warn("run left to others: its lease was lost before it was stored",
		"runId", runid.New(e.row.JobID, e.row.ScheduledFor), "token", e.row.Token)
	return true
}

// storeOnce stores a batch in one statement, or in two where there are attempts to be repeated, and returns what that did
// not store. Where a partition of runs is missing, it is made.
func (p *Poller) storeOnce(ctx context.Context, batch []*ended) ([]*ended, error) {
	var again, over []*ended
	for _, e := range batch {
		if e.retryAt.IsZero() {
			over = append(over, e)
		} else {
			again = append(again, e)
		}
	}
	stored := make(map[uuid.UUID]bool, len(batch))
	if len(again) > 0 {
		rows, err := p.queries.Retry(ctx, retry(again))
		if err != nil {
			return nil, fmt.Errorf("put back to be tried again: %w", err)
		}
		for _, row := range rows {
			stored[runid.New(row.JobID, row.ScheduledFor)] = true
		}
	}
	if len(over) > 0 {
		rows, err := p.completeRuns(ctx, completion(over))
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			stored[runid.New(row.JobID, row.ScheduledFor)] = true
		}
	}
	for _, e := range batch {
		if next := cmp.Or(e.retryAt, e.step.Next); !next.IsZero() {
			p.Due(next)
		}
		if e.row.Job.ConcurrencyGroup != nil {
			p.alarm.ring(time.Time{}) // another of its group may begin
		}
	}
	if len(stored) == len(batch) {
		return nil, nil
	}
	return slices.DeleteFunc(slices.Clone(batch), func(e *ended) bool {
		return stored[runid.New(e.row.JobID, e.row.ScheduledFor)]
	}), nil
}

// completeRuns completes runs, and makes partitions that are missing for them.
func (p *Poller) completeRuns(ctx context.Context, params db.CompleteParams) ([]db.CompleteRow, error) {
	rows, err := p.queries.Complete(ctx, params)
	if isMissingPartition(err) {
		if err := p.createPartitions(ctx, params); err != nil {
			return nil, err
		}
		rows, err = p.queries.Complete(ctx, params)
	}
	if err != nil {
		return nil, fmt.Errorf("complete: %w", err)
	}
	return rows, nil
}

// completion lays runs that are over out for the statement.
func completion(batch []*ended) (c db.CompleteParams) {
	for _, e := range batch {
		occurrences, passedFor, passed := 1, e.step.PassedFrom, e.step.Passed
		if e.status == db.RunStatusSKIPPED {
			// The run itself is the first of what was passed over, and stands for all.
			occurrences, passed = passed, 0
		}
		c.JobIds = append(c.JobIds, e.row.JobID)
		c.ScheduledFors = append(c.ScheduledFors, e.row.ScheduledFor)
		c.Tokens = append(c.Tokens, e.row.Token)
		c.Attempts = append(c.Attempts, e.attempt)
		c.StartedAts = append(c.StartedAts, e.started)
		c.FinishedAts = append(c.FinishedAts, e.finished)
		c.Statuses = append(c.Statuses, string(e.status))
		c.Reasons = append(c.Reasons, string(e.reason))
		c.Errors = append(c.Errors, e.error)
		c.FailedAttempts = append(c.FailedAttempts, string(e.row.FailedAttempts))
		c.Occurrences = append(c.Occurrences, int32(occurrences))
		c.Kept = append(c.Kept, e.row.Job.RunHistory == db.RunHistoryALL || e.status != db.RunStatusSUCCEEDED)
		c.NextFors = append(c.NextFors, e.step.Next)
		c.PassedFors = append(c.PassedFors, passedFor)
		c.PassedCounts = append(c.PassedCounts, int32(passed))
		c.RestStatuses = append(c.RestStatuses, string(e.step.Rest))
		c.RestReasons = append(c.RestReasons, e.step.Reason)
	}
	return c
}

// retry lays attempts that are to be repeated out for the statement.
func retry(batch []*ended) (r db.RetryParams) {
	for _, e := range batch {
		r.JobIds = append(r.JobIds, e.row.JobID)
		r.ScheduledFors = append(r.ScheduledFors, e.row.ScheduledFor)
		r.Tokens = append(r.Tokens, e.row.Token)
		r.ReadyAts = append(r.ReadyAts, e.retryAt)
		r.FailedAttempts = append(r.FailedAttempts, e.failed)
	}
	return r
}

// createPartitions makes the partitions that the runs of a completion go to.
func (p *Poller) createPartitions(ctx context.Context, c db.CompleteParams) error {
	days := map[time.Time]bool{}
	for i := range c.JobIds {
		days[c.ScheduledFors[i].UTC().Truncate(24*time.Hour)] = true
		if c.PassedCounts[i] > 0 {
			days[c.PassedFors[i].UTC().Truncate(24*time.Hour)] = true
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
