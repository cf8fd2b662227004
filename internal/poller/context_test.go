package poller

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/runs"
)

func TestAttemptContext(t *testing.T) {
	t.Parallel()
	t.Run("ends for its cause", func(t *testing.T) {
		t.Parallel()
		type key struct{}
		parent, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "kept"))
		var known cancels
		lazy := func() *attemptContext {
			return &attemptContext{parent: parent, deadline: time.Now().Add(time.Minute), cancels: &known, run: uuid.New()}
		}
		synctest.Test(t, func(t *testing.T) {
			late := lazy()
			late.parent = t.Context()
			defer late.end()
			<-time.After(59 * time.Second) // of synctest
			require.NoError(t, late.Err(), "its deadline counts from when it was made, and has not come")
			child, release := context.WithCancel(late)
			defer release()
			<-child.Done()
			require.ErrorIs(
				t,
				context.Cause(child),
				runs.ErrDeadline,
				"what is derived of it ends at its deadline, for its cause",
			)
		})
		require.True(t, known.empty(), "what has ended is forgotten")

		unasked, asked, canceled := lazy(), lazy(), lazy()
		require.Equal(t, "kept", asked.Value(key{}))
		deadline, ok := asked.Deadline()
		require.True(t, ok, "it has a deadline")
		require.Equal(t, asked.deadline, deadline)
		unasked.end()
		require.ErrorIs(t, unasked.Err(), context.Canceled, "ended before anybody asked it")

		require.NoError(t, canceled.Err())
		known.end(canceled.run, db.RunReasonREQUESTED)
		require.Equal(t, runs.Canceled{Reason: db.RunReasonREQUESTED}, context.Cause(canceled), "it ends with its run")

		stopped := errors.New("stopped")
		cancel(stopped)
		<-asked.Done()
		require.ErrorIs(t, context.Cause(asked), stopped, "it ends with its parent")
	})
	// A run that was taken over may be back before its first attempt has noticed.
	t.Run("is apart from that of another attempt of its run", func(t *testing.T) {
		t.Parallel()
		var known cancels
		run := uuid.New()
		attempt := func() *attemptContext {
			return &attemptContext{parent: t.Context(), deadline: time.Now().Add(time.Minute), cancels: &known, run: run}
		}
		first, second := attempt(), attempt()
		require.NoError(t, first.Err())
		require.NoError(t, second.Err())
		first.end()
		require.NoError(t, second.Err(), "the end of one does not end the other")
		known.end(run, db.RunReasonREQUESTED)
		require.Equal(t, runs.Canceled{Reason: db.RunReasonREQUESTED}, context.Cause(second), "which can still be canceled")
		second.end()
		require.True(t, known.empty())
	})
}
