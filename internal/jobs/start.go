package jobs

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/clock"
	"punctual/internal/policy"
	"punctual/internal/runid"
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
	rows, err := lock(ctx, q, job.ID)
	if err != nil {
		return Started{}, err
	}
	scheduled, busy := find(rows, carriesSchedule), busyOf(rows, now)
	mayOverlap := s.Policy == db.OverlapPolicyALLOWALL || policy.MayOverlap(job)
	if busy != nil && !mayOverlap && s.Policy != db.OverlapPolicySKIP {
		// The schedule is to go on behind this run, and so not to come back to what is claimed ahead of its instant.
		now = clock.Later(now, busy.ScheduledFor.Add(time.Microsecond))
	}
	started := Started{ScheduledFor: free(rows, now)}
	at := started.ScheduledFor
	switch {
	case busy == nil || s.Policy == db.OverlapPolicyALLOWALL:
	case s.Policy == db.OverlapPolicyCANCELOTHER:
		if started.Canceled, err = cancelOthers(ctx, q, rows, job.ID, at); err != nil {
			return Started{}, err
		}
	case s.Policy == db.OverlapPolicyBUFFERONE && busy.BufferedFor == nil:
		return started, q.BufferRun(ctx, db.BufferRunParams{
			JobID: job.ID, ScheduledFor: busy.ScheduledFor, BufferedFor: &at, BufferedRetryOf: s.RetryOf,
		})
	default:
		if _, err := q.CreateRunsPartition(ctx, at.UTC()); err != nil {
			return Started{}, fmt.Errorf("create the partition of runs: %w", err)
		}
		return started, q.SkipRun(ctx, db.SkipRunParams{
			JobID: job.ID, ScheduledFor: at, Trigger: s.Trigger, RetryOf: s.RetryOf,
		})
	}
	switch {
	case mayOverlap || scheduled == nil:
		return started, q.StartRun(ctx, db.StartRunParams{
			JobID: job.ID, ScheduledFor: at, Trigger: s.Trigger, RetryOf: s.RetryOf,
			ConcurrencyGroup: job.ConcurrencyGroup, Queue: job.Queue,
		})
	case isOpen(scheduled, now):
		// The schedule goes on behind this run, and not from where the other one left it.
		if err := skipDue(ctx, q, scheduled, job, at, db.RunReasonOVERLAP); err != nil {
			return Started{}, err
		}
		return started, q.StartRunInstead(ctx, db.StartRunInsteadParams{
			JobID: job.ID, ScheduledFor: at, Trigger: s.Trigger, RetryOf: s.RetryOf,
			ConcurrencyGroup: job.ConcurrencyGroup, Queue: job.Queue,
		})
	default:
		return started, q.StartRunAhead(ctx, db.StartRunAheadParams{
			JobID: job.ID, ScheduledFor: at, Trigger: s.Trigger, RetryOf: s.RetryOf,
		})
	}
}

// busyOf returns the row of an open run, the one that carries the job's schedule first; nil: there is none.
func busyOf(rows []db.Due, now time.Time) *db.Due {
	if row := find(rows, carriesSchedule); row != nil && isOpen(row, now) {
		return row
	}
	return find(rows, func(row *db.Due) bool { return isOpen(row, now) })
}

// cancelOthers has the open runs of a job end, and those that wait for them, and returns their ids.
func cancelOthers(ctx context.Context, q *db.Queries, rows []db.Due, job uuid.UUID, before time.Time) (ids []uuid.UUID, err error) {
	for i := range rows {
		if rows[i].BufferedFor != nil {
			if err := dropBuffered(ctx, q, &rows[i], db.RunStatusCANCELED, db.RunReasonOVERLAP); err != nil {
				return nil, err
			}
		}
	}
	canceled, err := q.CancelOthers(ctx, db.CancelOthersParams{JobID: job, Before: before})
	if err != nil {
		return nil, fmt.Errorf("cancel the other runs: %w", err)
	}
	for _, c := range canceled {
		ids = append(ids, runid.New(c.JobID, c.ScheduledFor))
	}
	return ids, nil
}

// dropBuffered ends the run that waits for the end of another.
func dropBuffered(ctx context.Context, q *db.Queries, row *db.Due, status db.RunStatus, reason db.RunReason) error {
	if _, err := q.CreateRunsPartition(ctx, row.BufferedFor.UTC()); err != nil {
		return fmt.Errorf("create the partition of runs: %w", err)
	}
	err := q.DropBuffered(ctx, db.DropBufferedParams{
		JobID: row.JobID, BufferedFor: row.BufferedFor, Status: status, Reason: reason,
	})
	if err != nil {
		return fmt.Errorf("drop a run that waits: %w", err)
	}
	return nil
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

// Backfill starts a run for each occurrence from one instant to another that has none, and to which the job's schedule does not
// come by itself. It returns how many it started and how many occurrences there are. The caller holds LockJob.
func Backfill(ctx context.Context, q *db.Queries, job *db.Job, from, to time.Time) (runs, occurrences int, err error) {
	when, err := policy.Schedule(job)
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
	rows, err := lock(ctx, q, job.ID)
	if err != nil {
		return 0, 0, err
	}
	passed := all
	if row := find(rows, carriesSchedule); row != nil {
		reached := clock.Later(row.ScheduledFor, clock.OrZero(row.RevisedAt))
		passed = all[:sort.Search(len(all), func(i int) bool { return all[i].After(reached) })]
	}
	n, err := q.Backfill(ctx, db.BackfillParams{
		JobID: job.ID, ScheduledFors: passed, ConcurrencyGroup: job.ConcurrencyGroup, Queue: job.Queue,
		Earliest: from, Latest: to,
	})
	return int(n), len(all), err
}

// Cancel has an open run end. It reports false where there is no such run.
func Cancel(ctx context.Context, q *db.Queries, job uuid.UUID, scheduledFor, now time.Time) (bool, error) {
	rows, err := lock(ctx, q, job)
	if err != nil {
		return false, err
	}
	for i := range rows {
		row := &rows[i]
		switch {
		case row.BufferedFor != nil && row.BufferedFor.Equal(scheduledFor):
			return true, dropBuffered(ctx, q, row, db.RunStatusCANCELED, db.RunReasonREQUESTED)
		case row.ScheduledFor.Equal(scheduledFor) && isOpen(row, now):
			return true, q.CancelRun(ctx, db.CancelRunParams{JobID: job, ScheduledFor: row.ScheduledFor})
		}
	}
	return false, nil
}
