package agenda

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/planner"
	"punctual/internal/runid"
	"punctual/internal/target"
)

// Start says what run is to be started.
type Start struct {
	// Trigger is MANUAL or RETRY.
	Trigger db.RunTrigger
	// RetryOf is the scheduled_for of the run that is repeated, with RETRY.
	RetryOf *time.Time
	// Policy is what to do while another run of the job is open.
	Policy db.OverlapPolicy
}

// Started is what became of it.
type Started struct {
	ScheduledFor time.Time
	// Canceled are the runs that were made to end for it, by their ids: who executes them has to be told.
	Canceled []uuid.UUID
}

// Run starts a run of a job, due now. The caller holds LockJob. Where the run may not overlap and may not wait, it is noted as
// skipped.
func Run(ctx context.Context, q *db.Queries, job *db.Job, s Start, now time.Time) (Started, error) {
	rows, err := q.LockDue(ctx, job.ID)
	if err != nil {
		return Started{}, fmt.Errorf("lock what is due: %w", err)
	}
	started := Started{ScheduledFor: free(rows, now)}
	at, busy := started.ScheduledFor, find(rows, func(row *db.Due) bool { return isOpen(row, now) })
	switch {
	case busy == nil && s.Policy != db.OverlapPolicyALLOWALL && !planner.MayOverlap(job) && find(rows, recurs) != nil:
		return started, q.StartRunAhead(ctx, db.StartRunAheadParams{
			JobID: job.ID, ScheduledFor: at, Trigger: s.Trigger, RetryOf: s.RetryOf,
		})
	case busy == nil || s.Policy == db.OverlapPolicyALLOWALL:
	case s.Policy == db.OverlapPolicyCANCELOTHER:
		canceled, err := q.CancelEarlier(ctx, db.CancelEarlierParams{JobID: job.ID, Before: at})
		if err != nil {
			return Started{}, fmt.Errorf("cancel the other runs: %w", err)
		}
		for _, c := range canceled {
			started.Canceled = append(started.Canceled, runid.New(c.JobID, c.ScheduledFor))
		}
	case s.Policy == db.OverlapPolicyBUFFERONE && busy.BufferedFor == nil:
		return started, q.BufferRun(ctx, db.BufferRunParams{
			JobID: job.ID, ScheduledFor: busy.ScheduledFor, BufferedFor: &at, BufferedRetryOf: s.RetryOf,
		})
	default:
		if _, err := q.CreateRunsPartition(ctx, at); err != nil {
			return Started{}, fmt.Errorf("create the partition of runs: %w", err)
		}
		return started, q.SkipRun(ctx, db.SkipRunParams{
			JobID: job.ID, ScheduledFor: at, Trigger: s.Trigger, RetryOf: s.RetryOf,
		})
	}
	return started, q.StartRun(ctx, db.StartRunParams{
		JobID: job.ID, ScheduledFor: at, Trigger: s.Trigger, RetryOf: s.RetryOf,
		ConcurrencyGroup: job.ConcurrencyGroup, Queue: target.QueueOf(job.Target),
	})
}

// free returns the first instant from now on that no row has: it names the run.
func free(rows []db.Due, now time.Time) time.Time {
	for slices.ContainsFunc(rows, func(row db.Due) bool {
		return row.ScheduledFor.Equal(now) || (row.BufferedFor != nil && row.BufferedFor.Equal(now))
	}) {
		now = now.Add(time.Microsecond)
	}
	return now
}

// MaxBackfill is how many occurrences a window may have.
const MaxBackfill = 1000

// TooManyError tells that a window has more than MaxBackfill occurrences.
type TooManyError struct{}

func (TooManyError) Error() string { return fmt.Sprintf("has more than %d occurrences", MaxBackfill) }

// Backfill starts a run for each occurrence from one instant to another that has none. It returns how many it started and how many
// occurrences there are.
func Backfill(ctx context.Context, q *db.Queries, job *db.Job, from, to time.Time) (runs, occurrences int, err error) {
	when, err := planner.Schedule(job)
	if err != nil {
		return 0, 0, err
	}
	var all []time.Time
	for next, ok := when.Next(from.Add(-time.Microsecond)); ok && !next.After(to); next, ok = when.Next(next) {
		if len(all) == MaxBackfill {
			return 0, 0, TooManyError{}
		}
		all = append(all, next)
	}
	if len(all) == 0 {
		return 0, 0, nil
	}
	n, err := q.Backfill(ctx, db.BackfillParams{
		JobID: job.ID, ScheduledFors: all, ConcurrencyGroup: job.ConcurrencyGroup, Queue: target.QueueOf(job.Target),
	})
	return int(n), len(all), err
}

// Cancel has an open run end. It reports false where there is no such run.
func Cancel(ctx context.Context, q *db.Queries, job uuid.UUID, scheduledFor, now time.Time) (bool, error) {
	rows, err := q.LockDue(ctx, job)
	if err != nil {
		return false, fmt.Errorf("lock what is due: %w", err)
	}
	for i := range rows {
		row := &rows[i]
		switch {
		case row.BufferedFor != nil && row.BufferedFor.Equal(scheduledFor):
			if _, err := q.CreateRunsPartition(ctx, scheduledFor); err != nil {
				return false, fmt.Errorf("create the partition of runs: %w", err)
			}
			return true, q.DropBuffered(ctx, db.DropBufferedParams{JobID: job, BufferedFor: &scheduledFor})
		case row.ScheduledFor.Equal(scheduledFor) && isOpen(row, now):
			return true, q.CancelRun(ctx, db.CancelRunParams{JobID: job, ScheduledFor: row.ScheduledFor})
		}
	}
	return false, nil
}
