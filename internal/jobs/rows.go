package jobs

import (
	"context"
	"fmt"
	"slices"
	"time"

	"punctual/gen/db"
	"punctual/internal/clock"
	"punctual/internal/events"
	"punctual/internal/policy"
	"punctual/internal/schedule"
)

// lockRows locks all due rows of the job. A claim that it waits for may put the schedule on a row
// of its own, which only another look sees; when all rows are locked, no more can come.
func (e *edit) lockRows(ctx context.Context) ([]db.Due, error) {
	for seen := -1; ; {
		rows, err := e.LockDue(ctx, e.job.ID)
		if err != nil {
			return nil, fmt.Errorf("lock the job's due rows: %w", err)
		}
		if len(rows) == seen {
			return rows, nil
		}
		seen = len(rows)
	}
}

// isOpen reports whether a run has begun, or is due, as of now. A run that somebody asked for was
// due when it was stored, or a moment later, unless it was asked for at a later instant.
func isOpen(row *db.Due, now time.Time) bool {
	if row.Trigger != db.RunTriggerSCHEDULE && !row.ScheduledFor.After(now.Add(ahead)) {
		return true
	}
	return row.Attempt > 0 || !row.ReadyAt.After(now)
}

// isOpenBesidesBackfill reports whether a run is open and was not backfilled. Backfilled runs never
// count: they are independent of the schedule.
func isOpenBesidesBackfill(now time.Time) func(*db.Due) bool {
	return func(row *db.Due) bool { return isOpen(row, now) && row.Trigger != db.RunTriggerBACKFILL }
}

func carriesSchedule(row *db.Due) bool { return row.CarriesSchedule }

// findLast returns the last row that matches, or nil.
func findLast(rows []db.Due, matches func(*db.Due) bool) *db.Due {
	for i := range slices.Backward(rows) {
		if row := &rows[i]; matches(row) {
			return row
		}
	}
	return nil
}

// copyLastRun copies what the row that carries a job's schedule knows of the job's last run, unless
// the job knows of a later one.
func copyLastRun(to *Definition, row *db.Due) {
	to.LastRunAt = latest(to.LastRunAt, row.LastRunAt)
	if isKnownLater(row.LastRunFor, to.LastRunFor) {
		to.LastRunFor, to.LastRunStatus, to.Failures = row.LastRunFor, row.LastRunStatus, row.Failures
	}
}

// isKnownLater reports whether the row that carries a job's schedule, which knows of a last run,
// tells how that ended, and not the job, which knows of one, too. If both know of the same, the job
// does: it also knows of the runs off the schedule that ended since then.
func isKnownLater(ofRow, ofJob *time.Time) bool {
	return ofRow != nil && (ofJob == nil || ofRow.After(*ofJob))
}

// missed returns how many occurrences that were due until now a row stands for that nobody holds.
func missed(row *db.Due, job *Definition, now time.Time) int {
	if row.ScheduledFor.After(now) {
		return 0
	}
	if when, err := policy.Schedule(job); err == nil {
		more, _ := when.Between(row.ScheduledFor, now)
		return 1 + more
	}
	return 1
}

// skipped are occurrences in a row that are not executed.
type skipped struct {
	when schedule.Schedule
	// after is the instant after which the first of them is, and until the last instant they reach.
	after, until time.Time
	count        int
	reason       db.RunReason
	// statusReason is the job's, with JOB_PAUSED.
	statusReason *string
}

// maxSkipTries bounds how many occurrences are looked at for one that has no run yet.
const maxSkipTries = MaxBackfill

// record stores skipped occurrences as one run, at the first of them that has no run yet.
func (e *edit) record(ctx context.Context, s skipped) error {
	at, ok := s.when.Next(s.after)
	for tries := 0; ok && s.count > 0 && !at.After(s.until) && tries < maxSkipTries; tries++ {
		if err := e.createPartition(ctx, at); err != nil {
			return err
		}
		stored, err := e.RecordSkipped(ctx, db.RecordSkippedParams{
			JobID: e.job.ID, ScheduledFor: at, Reason: &s.reason, StatusReason: s.statusReason,
			Occurrences: toCount(s.count),
		})
		if err != nil {
			return fmt.Errorf("record skipped occurrences: %w", err)
		}
		if stored > 0 {
			e.tellSkipped(events.Run{ScheduledFor: at, Reason: s.reason, Occurrences: int64(toCount(s.count))})
			return nil
		}
		at, ok = s.when.Next(at)
	}
	return nil
}

// recordSkipped records the occurrences that came due while a run was in flight and that nobody
// will execute.
func (e *edit) recordSkipped(ctx context.Context, row *db.Due, until time.Time, reason db.RunReason, why *string) error {
	when, err := policy.Schedule(&e.job)
	if err != nil || policy.MayOverlap(&e.job) {
		return nil //nolint:nilerr // a schedule that cannot be computed is due at no instant
	}
	after := clock.Later(row.ScheduledFor, clock.OrZero(row.RevisedAt))
	count, _ := when.Between(after, until)
	return e.record(ctx, skipped{when, after, until, count, reason, why})
}

func (e *edit) createPartition(ctx context.Context, at time.Time) error {
	if _, err := e.CreateRunsPartition(ctx, at.UTC()); err != nil {
		return fmt.Errorf("create the partition of runs: %w", err)
	}
	return nil
}

// toCount returns a number of occurrences as the column takes it.
func toCount(n int) int32 { return int32(min(n, maxCount)) }

const maxCount = 1<<31 - 1
