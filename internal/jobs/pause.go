package jobs

import (
	"context"
	"fmt"
	"time"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/clock"
	"punctual/internal/policy"
)

// maxBackfilledAge is how far back backfilled occurrences of a pause are looked for, to keep the
// number of partitions small that are read. Older ones are counted as skipped.
const maxBackfilledAge = 30 * 24 * time.Hour

// recordPause records the occurrences that have passed since the job was paused as one skipped run.
// It does nothing to a job that is not paused. What cannot be counted does not keep a job from
// being resumed.
func (s *Service) recordPause(ctx context.Context, e *edit) error {
	if e.job.PausedSince == nil {
		return nil
	}
	when, err := policy.Schedule(&e.job)
	if err != nil {
		return nil //nolint:nilerr // a schedule that cannot be computed is due at no instant
	}
	since := clock.Later(*e.job.PausedSince, s.oldestKept(e.by, e.now))
	if !e.passed.After(since) {
		return nil
	}
	count, _ := when.Between(since, e.passed)
	if count == 0 {
		return nil
	}
	backfilled, err := e.history.CountBackfilled(ctx, db.CountBackfilledParams{
		JobID: e.job.ID, After: clock.Later(since, e.now.Add(-maxBackfilledAge)), Until: e.passed,
	})
	if err != nil {
		return fmt.Errorf("count what was backfilled: %w", err)
	}
	return e.record(ctx, skipped{
		when, since, e.passed, count - int(backfilled), db.RunReasonJOBPAUSED, e.job.StatusReason,
	})
}

// pausedSince returns from when on the occurrences of a job that is paused now are not executed:
// from now on, or after the latest run that was claimed ahead of its instant, which is executed.
func (e *edit) pausedSince(ctx context.Context) (*time.Time, error) {
	rows, err := e.lockRows(ctx)
	if err != nil {
		return nil, err
	}
	since := e.now
	for i := range rows {
		if row := &rows[i]; row.Attempt > 0 && row.Trigger == db.RunTriggerSCHEDULE {
			since = clock.Later(since, row.ScheduledFor)
		}
	}
	return &since, nil
}

// oldestKept returns the first instant of which runs are kept in the caller's namespace, or the
// zero instant if all are.
func (s *Service) oldestKept(by access.Caller, now time.Time) time.Time {
	days := s.retentionDays(by)
	if days == 0 {
		return time.Time{}
	}
	year, month, day := now.UTC().Date()
	return time.Date(year, month, day-days, 0, 0, 0, 0, time.UTC)
}

// retentionDays returns how many days runs are kept in the caller's namespace; zero is for ever.
func (s *Service) retentionDays(by access.Caller) int {
	own := by.Limits.RunRetentionDays
	if own == nil || (s.RetentionDays > 0 && s.RetentionDays < int(*own)) {
		return s.RetentionDays
	}
	return int(*own)
}
