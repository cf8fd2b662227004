package agenda

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/gen/db"
	"punctual/internal/planner"
	"punctual/internal/target"
)

// Reschedule takes a job off its old schedule and puts it on the new one. The caller holds LockJob and stores after, in
// which it takes down what the old schedule's row knew. It returns a NeverDueError where the new one has nothing left.
func Reschedule(ctx context.Context, q *db.Queries, before db.Job, after *db.Job, now time.Time) error {
	rows, err := q.LockDue(ctx, after.ID)
	if err != nil {
		return fmt.Errorf("lock what is due: %w", err)
	}
	isActive := after.Status == db.JobStatusACTIVE
	if isActive {
		if carrier := carrierOf(rows, before, after, now); carrier != nil {
			if _, err := First(after, now); err != nil {
				return err
			}
			return q.Revise(ctx, db.ReviseParams{JobID: carrier.JobID, ScheduledFor: carrier.ScheduledFor})
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
		ConcurrencyGroup: after.ConcurrencyGroup, Queue: target.QueueOf(after.Target),
	})
}

// carrierOf returns the row of a run that has to end before the job's schedule may go on; nil: there is none.
func carrierOf(rows []db.Due, before db.Job, after *db.Job, now time.Time) *db.Due {
	if planner.MayOverlap(after) {
		return nil
	}
	if before.Status != db.JobStatusACTIVE {
		return find(rows, func(row *db.Due) bool { return isOpen(row, now) })
	}
	return find(rows, func(row *db.Due) bool {
		return row.Recurs && (row.Attempt > 0 || missed(row, &before, now) == 1)
	})
}

// missed returns how many occurrences were due until now that a row which nobody holds stands for.
func missed(row *db.Due, job *db.Job, now time.Time) int {
	if row.ScheduledFor.After(now) {
		return 0
	}
	if when, err := planner.Schedule(job); err == nil {
		more, _ := when.Between(row.ScheduledFor, now)
		return 1 + more
	}
	return 1
}

// unschedule takes the schedule off the job's due row, and takes down on the job what that row knew. A run that has begun
// goes on, and ends on its own. What nobody executes is removed; what of it was due already leaves a skipped run with
// this reason.
func unschedule(ctx context.Context, q *db.Queries, rows []db.Due, job *db.Job, now time.Time, reason db.RunReason) error {
	row := find(rows, recurs)
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
	if row.Attempt > 0 || (skipped == 1 && reason == db.RunReasonMISFIRE) {
		job.RunCount++ // in flight, or due this very moment, which is not missed
		return nil
	}
	if skipped > 0 {
		if _, err := q.CreateRunsPartition(ctx, row.ScheduledFor); err != nil {
			return fmt.Errorf("create the partition of runs: %w", err)
		}
	}
	return q.DropOccurrence(ctx, db.DropOccurrenceParams{
		JobID: job.ID, ScheduledFor: row.ScheduledFor, Reason: reason, Occurrences: int32(skipped),
	})
}

// Delete takes a job out of sight and off its schedule. A run that executes ends on its own; one that waits ends without.
// It returns pgx.ErrNoRows where there is no such job.
func Delete(ctx context.Context, pool *pgxpool.Pool, id uuid.UUID) error {
	return Change(ctx, pool, func(q *db.Queries) error {
		locked, err := q.LockJob(ctx, id)
		if err != nil {
			return err
		}
		rows, err := q.LockDue(ctx, id)
		if err != nil {
			return err
		}
		if err := unschedule(ctx, q, rows, &locked.Job, locked.LockedAt, db.RunReasonJOBDELETED); err != nil {
			return err
		}
		if err := q.LeaveToInstances(ctx, id); err != nil {
			return err
		}
		return q.MarkJobDeleted(ctx, id)
	})
}

// Pause pauses a job for a reason that people are to read. One that is not active, or deleted, stays as it is.
func Pause(ctx context.Context, pool *pgxpool.Pool, id uuid.UUID, reason string) error {
	err := Change(ctx, pool, func(q *db.Queries) error {
		locked, err := q.LockJob(ctx, id)
		if err != nil {
			return err
		}
		job := locked.Job
		if job.Status != db.JobStatusACTIVE {
			return nil
		}
		job.Status, job.StatusReason = db.JobStatusPAUSED, &reason
		if err := Reschedule(ctx, q, locked.Job, &job, locked.LockedAt); err != nil {
			return err
		}
		return q.UpdateJob(ctx, UpdateParams(job))
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	return err
}
