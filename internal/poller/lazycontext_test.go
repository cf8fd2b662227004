package poller

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLazyContext(t *testing.T) {
	t.Parallel()
	type key struct{}
	cause := errors.New("too late")
	parent, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "kept"))
	lazy := func() *lazyContext {
		return &lazyContext{parent: parent, deadline: time.Now().Add(time.Minute), cause: cause}
	}
	synctest.Test(t, func(t *testing.T) {
		late := &lazyContext{parent: t.Context(), deadline: time.Now().Add(time.Minute), cause: cause}
		defer late.end()
		time.Sleep(59 * time.Second)
		require.NoError(t, late.Err(), "its deadline counts from when it was made, and has not come")
		child, release := context.WithCancel(late)
		defer release()
		<-child.Done()
		require.ErrorIs(t, context.Cause(child), cause, "what is derived of it ends at its deadline, for its cause")
	})

	unasked, asked := lazy(), lazy()
	require.Equal(t, "kept", asked.Value(key{}))
	deadline, ok := asked.Deadline()
	require.True(t, ok, "it has a deadline")
	require.Equal(t, asked.deadline, deadline)
	unasked.end()
	require.ErrorIs(t, unasked.Err(), context.Canceled, "ended before anybody asked it")
	stopped := errors.New("stopped")
	cancel(stopped)
	<-asked.Done()
	require.ErrorIs(t, context.Cause(asked), stopped, "it ends with its parent")
}
