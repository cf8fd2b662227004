package jobs_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"punctual/gen/db"
	"punctual/internal/jobs"
	"punctual/internal/runs"
	"punctual/internal/testdb/enginetest"
)

// Runs that overlap end in any order. The last run is the latest of them.
func TestLastRunOfRunsThatOverlap(t *testing.T) {
	t.Parallel()
	t.Run("counts one after the other", func(t *testing.T) {
		t.Parallel()
		s := overdue(t, `,"overlapPolicy":"ALLOW_ALL"`)
		for n := range int32(3) {
			s.is(s.run(errUnlucky), hasFailed, n+1, jobs.HealthFailing)
		}
		s.is(s.run(nil), hasSucceeded, 0, jobs.HealthLate)
		s.is(s.manualAlone(errUnlucky), hasFailed, 1, jobs.HealthFailing)
	})
	t.Run("an older success makes nothing healthy", func(t *testing.T) {
		t.Parallel()
		s := overdue(t, `,"overlapPolicy":"ALLOW_ALL"`)
		first, second := s.Begin(), s.Begin()
		s.End(second, errUnlucky)
		s.End(first, nil)
		s.is(second.RunID(), hasFailed, 1, jobs.HealthFailing)
	})
	t.Run("an older failure counts only if the last run failed, too", func(t *testing.T) {
		t.Parallel()
		s := overdue(t, `,"overlapPolicy":"ALLOW_ALL"`)
		first, second, third := s.Begin(), s.Begin(), s.Begin()
		s.End(second, nil)
		s.End(first, errUnlucky)
		s.is(second.RunID(), hasSucceeded, 0, jobs.HealthLate)
		fourth := s.Begin()
		s.End(fourth, errUnlucky)
		s.End(third, errUnlucky)
		s.is(fourth.RunID(), hasFailed, 2, jobs.HealthFailing)
	})
	t.Run("a batch counts in the order of instants", func(t *testing.T) {
		t.Parallel()
		s := overdue(t, `,"overlapPolicy":"ALLOW_ALL"`)
		s.run(errUnlucky)
		var all []*runs.Attempt
		for range 4 {
			all = append(all, s.Begin())
		}
		now := s.Now()
		var batch []*runs.Ended
		for i, failure := range []error{errUnlucky, nil, errUnlucky, errUnlucky} {
			batch = append([]*runs.Ended{all[i].End(now, nil, failure)}, batch...)
		}
		require.Empty(t, s.Store().Save(t.Context(), batch))
		s.is(all[3].RunID(), hasFailed, 2, jobs.HealthFailing)
	})
	t.Run("two instances count at once", func(t *testing.T) {
		t.Parallel()
		s := overdue(t, `,"overlapPolicy":"ALLOW_ALL"`)
		all := []*runs.Attempt{s.Begin(), s.Begin(), s.Begin(), s.Begin()}
		now := s.Now()
		var group errgroup.Group
		for _, attempt := range all {
			group.Go(func() error { return s.Store().Save(t.Context(), []*runs.Ended{attempt.End(now, nil, errUnlucky)}).Err })
		}
		require.NoError(t, group.Wait())
		view := s.Job(s.job)
		require.True(t, all[3].Due.ScheduledFor.Equal(view.LastRun.ScheduledFor))
		require.EqualValues(t, 4, view.ConsecutiveFailures)
	})
	t.Run("what is missed changes no count", func(t *testing.T) {
		t.Parallel()
		s := overdue(t, `,"overlapPolicy":"ALLOW_ALL"`)
		s.run(errUnlucky)
		s.run(errUnlucky)
		s.Exec(`update jobs set misfire_policy = 'SKIP'`)
		s.is(s.miss(), wasSkipped, 2, jobs.HealthFailing)
		s.is(s.run(errUnlucky), hasFailed, 3, jobs.HealthFailing)
	})
	t.Run("counts for pauseAfterFailures", func(t *testing.T) {
		t.Parallel()
		s := overdue(t, `,"overlapPolicy":"ALLOW_ALL","pauseAfterFailures":2`)
		s.run(errUnlucky)
		s.run(nil)
		s.run(errUnlucky)
		require.Equal(t, db.JobStatusACTIVE, s.Job(s.job).Job.Status)
		s.is(s.run(errUnlucky), hasFailed, 2, jobs.HealthPaused)
		require.Equal(t, "2 runs failed in a row", *s.Job(s.job).Job.StatusReason)
	})
}

func TestLastRunOfRunsInEachOthersPlace(t *testing.T) {
	t.Parallel()
	t.Run("one waits for the other", func(t *testing.T) {
		t.Parallel()
		s := overdue(t, `,"overlapPolicy":"BUFFER_ONE"`)
		first := s.Begin()
		waits := enginetest.IDOf(s.Start(s.job, ""))
		s.End(first, errUnlucky)
		s.is(first.RunID(), hasFailed, 1, jobs.HealthFailing)
		require.Equal(t, waits, s.run(errUnlucky))
		s.is(waits, hasFailed, 2, jobs.HealthFailing)
	})
	t.Run("one waits for the other while the job is paused", func(t *testing.T) {
		t.Parallel()
		s := overdue(t, `,"overlapPolicy":"BUFFER_ONE"`)
		first := s.Begin()
		waits := enginetest.IDOf(s.Start(s.job, ""))
		s.Edit(s.job, `{"status":"PAUSED"}`)
		s.End(first, errUnlucky)
		require.Equal(t, waits, s.run(errUnlucky))
		s.is(waits, hasFailed, 2, jobs.HealthPaused)
	})
	t.Run("one cancels the other", func(t *testing.T) {
		t.Parallel()
		s := overdue(t, `,"overlapPolicy":"SKIP"`)
		s.is(s.run(errUnlucky), hasFailed, 1, jobs.HealthFailing)
		first := s.Begin()
		second := enginetest.IDOf(s.Start(s.job, cancelOther))
		require.Equal(t, second, s.run(errUnlucky))
		s.is(second, hasFailed, 2, jobs.HealthFailing)
		s.End(first, runs.Canceled{Reason: db.RunReasonOVERLAP})
		s.is(second, hasFailed, 2, jobs.HealthFailing)
	})
	t.Run("one that began before the last run fails after it", func(t *testing.T) {
		t.Parallel()
		s := overdue(t, `,"overlapPolicy":"SKIP","pauseAfterFailures":3`)
		s.Exec(`update due set scheduled_for = now() + interval '1 minute', ready_at = now() + interval '1 minute' where carries_schedule`)
		s.Start(s.job, db.OverlapPolicyALLOWALL)
		before := s.Begin()
		s.Exec(`update due set scheduled_for = clock_timestamp(), ready_at = clock_timestamp() where carries_schedule`)
		last := s.run(errUnlucky)
		s.is(last, hasFailed, 1, jobs.HealthFailing)
		s.End(before, errUnlucky)
		s.is(last, hasFailed, 2, jobs.HealthFailing)
		s.Exec(`update due set scheduled_for = clock_timestamp(), ready_at = clock_timestamp() where carries_schedule`)
		s.is(s.run(errUnlucky), hasFailed, 3, jobs.HealthPaused)
	})
	t.Run("what is skipped beside a run is not the last run", func(t *testing.T) {
		t.Parallel()
		s := overdue(t, `,"overlapPolicy":"SKIP"`)
		first := s.Begin()
		require.Equal(t, "SKIPPED", s.Start(s.job, "").Status)
		s.End(first, nil)
		s.is(first.RunID(), hasSucceeded, 0, jobs.HealthLate)
	})
}
