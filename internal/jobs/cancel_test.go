package jobs_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/jobs"
	"punctual/internal/runs"
	"punctual/internal/testdb/enginetest"
)

func TestCancel(t *testing.T) {
	t.Parallel()
	t.Run("ends a run that waits for another at once", func(t *testing.T) {
		t.Parallel()
		e := enginetest.New(t)
		job := e.Due(`,"overlapPolicy":"BUFFER_ONE"`).Job.ID
		first := e.Begin()
		waits := enginetest.IDOf(e.Start(job, ""))
		require.Equal(t, "CANCELED", e.Cancel(waits).Status)
		_, err := e.Jobs.Cancel(t.Context(), enginetest.By, waits)
		var conflict *jobs.Conflict
		require.ErrorAs(t, err, &conflict)
		require.Equal(t, jobs.RunHasEnded, conflict.Code)
		another := e.Start(job, "")
		require.Equal(t, "PENDING", another.Status, "there is room again")
		e.End(first, nil)
		e.Execute(1)
		require.Equal(t, "SUCCEEDED", e.Run(enginetest.IDOf(another)).Status)
		require.Len(t, e.Runs(job), 3)
	})
}

// A run says when it was to be canceled, for the first time.
func TestCancelRequestedAt(t *testing.T) {
	t.Parallel()
	t.Run("by somebody", func(t *testing.T) {
		t.Parallel()
		s := overdue(t, "")
		attempt := s.Begin()
		require.Nil(t, s.Run(attempt.RunID()).CancelRequestedAt)
		at := s.Cancel(attempt.RunID()).CancelRequestedAt
		require.NotNil(t, at)
		require.WithinDuration(t, s.Now(), *at, time.Minute)
		require.Equal(t, at, s.Cancel(attempt.RunID()).CancelRequestedAt, "it was canceled already")
		require.Equal(t, at, s.Runs(s.job)[0].CancelRequestedAt)
		s.End(attempt, runs.Canceled{Reason: db.RunReasonREQUESTED})
		require.Equal(t, at, s.Run(attempt.RunID()).CancelRequestedAt, "it has ended")

		next := s.run(errUnlucky)
		require.Nil(t, s.Run(next).CancelRequestedAt, "the next one was not to be canceled")
		attempt = s.Begin()
		at = s.Cancel(attempt.RunID()).CancelRequestedAt
		s.End(attempt, errUnlucky)
		require.Equal(t, at, s.Run(attempt.RunID()).CancelRequestedAt, "it failed before it was stopped")
	})
	t.Run("by the next occurrence", func(t *testing.T) {
		t.Parallel()
		s := overdue(t, `,"overlapPolicy":"CANCEL_OTHER"`)
		first, second := s.Begin(), s.Begin()
		require.Len(t, s.Store().CancelEarlier(t.Context(), second), 1)
		at := s.Run(first.RunID()).CancelRequestedAt
		require.NotNil(t, at)
		s.End(first, runs.Canceled{Reason: db.RunReasonOVERLAP})
		require.Equal(t, at, s.Run(first.RunID()).CancelRequestedAt)
		s.End(second, nil)
		require.Nil(t, s.Run(second.RunID()).CancelRequestedAt)
	})
	t.Run("while it waits for another", func(t *testing.T) {
		t.Parallel()
		s := overdue(t, `,"overlapPolicy":"BUFFER_ONE"`)
		s.Begin()
		waits := s.Cancel(enginetest.IDOf(s.Start(s.job, "")))
		require.NotNil(t, waits.CancelRequestedAt)
	})
}
