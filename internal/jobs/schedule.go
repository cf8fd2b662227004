package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/gen/db"
	"punctual/internal/clock"
	"punctual/internal/policy"
)

// Reschedule takes a job off its old schedule and puts it on the new one. The caller holds LockJob and stores after, in
// which it takes down what the old schedule's row knew. It returns a NeverDueError where the new one has nothing left.
func Reschedule(ctx context.Context, q *db.Queries, before db.Job, after *db.Job, now time.Time) error {
	rows, err := lock(ctx, q, after.ID)
	if err != nil {
		return err
	}
	if rows, err = requeue(ctx, q, rows, &before, after); err != nil {
		return err
	}
	isActive := after.Status == db.JobStatusACTIVE
	if isActive {
		if carrier := carrierOf(rows, before, after, now); carrier != nil {
			if _, err := First(after, now); err != nil {
				return err
			}
			if carrier.CarriesSchedule {
				if err := skipDue(ctx, q, carrier, &before, now, db.RunReasonOVERLAP); err != nil {
					return err
				}
			}
			return q.Revise(ctx, db.ReviseParams{JobID: carrier.JobID, ScheduledFor: carrier.ScheduledFor, RevisedAt: now})
		}
	}
	if before.Status == db.JobStatusACTIVE {
		reason := db.RunReasonJOBPAUSED
		if isActive {
			reason = db.RunReasonMISFIRE
		}
		if err := unschedule(ctx, q, rows, &before, now, reason); err != nil {
			return err
		}
		after.LastRunAt, after.RunCount = before.LastRunAt, before.RunCount
	}
	if !isActive {
		return nil
	}
	next, err := First(after, now)
	if err != nil {
		return err
	}
	return q.StartRecurring(ctx, db.StartRecurringParams{
		JobID: after.ID, ScheduledFor: next, LastRunAt: after.LastRunAt,
		ConcurrencyGroup: after.ConcurrencyGroup, Queue: after.Queue,
	})
}

// IsMoved tells whether two definitions of a job are claimed in different ways.
func IsMoved(before, after *db.Job) bool {
	return !same(before.Queue, after.Queue) || !same(before.ConcurrencyGroup, after.ConcurrencyGroup)
}

// Move has a job be executed elsewhere from now on, at the instants that it has: what was due already stays due, for the job's
// misfire policy. The caller holds LockJob and stores after.
func Move(ctx context.Context, q *db.Queries, before db.Job, after *db.Job, now time.Time) error {
	rows, err := lock(ctx, q, after.ID)
	if err != nil {
		return err
	}
	if row := find(rows, carriesSchedule); row == nil || row.Attempt > 0 {
		return Reschedule(ctx, q, before, after, now)
	}
	_, err = requeue(ctx, q, rows, &before, after)
	return err
}

// Redefine has what comes after runs in flight be decided by the job as it is from now on. The caller holds LockJob.
func Redefine(ctx context.Context, q *db.Queries, job uuid.UUID) error {
	if _, err := lock(ctx, q, job); err != nil {
		return err
	}
	return q.RaiseRevisions(ctx, job)
}

// requeue has what nobody executes yet wait where the job is executed from now on: who served it before may be gone. It returns the
// rows as they are then.
func requeue(ctx context.Context, q *db.Queries, rows []db.Due, before, after *db.Job) ([]db.Due, error) {
	if !IsMoved(before, after) {
		return rows, nil
	}
	err := q.Requeue(ctx, db.RequeueParams{
		JobID: after.ID, Queue: after.Queue, ConcurrencyGroup: after.ConcurrencyGroup,
	})
	if err != nil {
		return nil, fmt.Errorf("have it wait elsewhere: %w", err)
	}
	return lock(ctx, q, after.ID)
}

func same(a, b *string) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }

// carrierOf returns the row of a run that has to end before the job's schedule may go on; nil: there is none. A backfilled
// run is none: it is beside all else.
func carrierOf(rows []db.Due, before db.Job, after *db.Job, now time.Time) *db.Due {
	if policy.MayOverlap(after) {
		return nil
	}
	if before.Status != db.JobStatusACTIVE {
		return find(rows, func(row *db.Due) bool { return isOpen(row, now) && row.Trigger != db.RunTriggerBACKFILL })
	}
	return find(rows, func(row *db.Due) bool {
		wasAskedFor := row.Trigger != db.RunTriggerSCHEDULE || row.BufferedFor != nil
		return row.CarriesSchedule && (row.Attempt > 0 || wasAskedFor || missed(row, &before, now) == 1)
	})
}

// missed returns how many occurrences were due until now that a row which nobody holds stands for.
func missed(row *db.Due, job *db.Job, now time.Time) int {
	if row.ScheduledFor.After(now) {
		return 0
	}
	if when, err := policy.Schedule(job); err == nil {
		more, _ := when.Between(row.ScheduledFor, now)
		return 1 + more
	}
	return 1
}

// skipDue leaves a skipped run for what came due behind a run until now, and will not be executed when that ends.
func skipDue(ctx context.Context, q *db.Queries, row *db.Due, job *db.Job, now time.Time, reason db.RunReason) error {
	when, err := policy.Schedule(job)
	if err != nil || policy.MayOverlap(job) {
		return nil //nolint:nilerr // what cannot be computed is not due
	}
	from := clock.Later(row.ScheduledFor, clock.OrZero(row.RevisedAt))
	skipped, _ := when.Between(from, now)
	if skipped == 0 {
		return nil
	}
	first, _ := when.Next(from)
	if _, err := q.CreateRunsPartition(ctx, first.UTC()); err != nil {
		return fmt.Errorf("create the partition of runs: %w", err)
	}
	return q.SkipOccurrences(ctx, db.SkipOccurrencesParams{
		JobID: job.ID, ScheduledFor: first, Reason: &reason, Occurrences: int32(skipped),
	})
}

// unschedule takes the schedule off the job's due row, and takes down on the job what that row knew. A run that has begun, or
// that somebody asked for, goes on, and ends on its own. What else nobody executes is removed; what of it was due already
// leaves a skipped run with this reason.
func unschedule(ctx context.Context, q *db.Queries, rows []db.Due, job *db.Job, now time.Time, reason db.RunReason) error {
	row := find(rows, carriesSchedule)
	if row == nil {
		return nil
	}
	if err := q.StopRecurring(ctx, job.ID); err != nil {
		return fmt.Errorf("take the schedule off: %w", err)
	}
	if row.LastRunAt != nil && (job.LastRunAt == nil || row.LastRunAt.After(*job.LastRunAt)) {
		job.LastRunAt = row.LastRunAt
	}
	job.RunCount += row.RunCount
	skipped := missed(row, job, now)
	switch {
	case skipped == 1 && reason == db.RunReasonMISFIRE:
		job.RunCount++ // due this very moment, which is not missed
		return nil
	case row.Attempt > 0 || row.Trigger != db.RunTriggerSCHEDULE:
		job.RunCount++
		return skipDue(ctx, q, row, job, now, reason)
	}
	if skipped > 0 {
		if _, err := q.CreateRunsPartition(ctx, row.ScheduledFor.UTC()); err != nil {
			return fmt.Errorf("create the partition of runs: %w", err)
		}
	}
	err := q.DropOccurrence(ctx, db.DropOccurrenceParams{
		JobID: job.ID, ScheduledFor: row.ScheduledFor, Reason: reason, Occurrences: int32(skipped),
	})
	if err != nil || row.BufferedFor == nil {
		return err
	}
	// What waited for it waits no longer.
	return q.StartRun(ctx, db.StartRunParams{
		JobID: job.ID, ScheduledFor: *row.BufferedFor, Trigger: triggerOf(row.BufferedRetryOf), RetryOf: row.BufferedRetryOf,
		ConcurrencyGroup: row.ConcurrencyGroup, Queue: row.Queue,
	})
}

// Delete takes a job out of sight and off its schedule. A run that executes ends on its own; one that waits ends without.
// It returns pgx.ErrNoRows where there is no such job.
func Delete(ctx context.Context, pool *pgxpool.Pool, id uuid.UUID) error {
	return Change(ctx, pool, func(q *db.Queries) error {
		locked, err := LockJob(ctx, q, id)
		if err != nil {
			return err
		}
		rows, err := lock(ctx, q, id)
		if err != nil {
			return err
		}
		if err := unschedule(ctx, q, rows, &locked.Job, locked.LockedAt, db.RunReasonJOBDELETED); err != nil {
			return err
		}
		for i := range rows {
			if row := &rows[i]; row.BufferedFor != nil {
				if err := dropBuffered(ctx, q, row, db.RunStatusSKIPPED, db.RunReasonJOBDELETED); err != nil {
					return err
				}
			}
		}
		if err := q.LeaveToInstances(ctx, id); err != nil {
			return err
		}
		return q.MarkJobDeleted(ctx, id)
	})
}
