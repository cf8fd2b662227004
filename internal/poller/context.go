package poller

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"punctual/internal/runs"
)

// attemptContext is the context of an attempt: it ends with its parent, at the attempt's deadline,
// and when the run is canceled. It is made when somebody first asks it anything: making one sets a
// timer and locks the parent that all runs of a batch share, which costs more than everything else
// that is done for a run whose executor has no use for it.
type attemptContext struct {
	parent   context.Context
	deadline time.Time
	cancels  *cancels
	run      uuid.UUID

	once   sync.Once
	made   context.Context
	cancel context.CancelCauseFunc
	stop   context.CancelFunc
}

var _ context.Context = (*attemptContext)(nil)

// endedContext is a context that has ended.
var endedContext = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// context makes the context, or returns the one that was made.
func (c *attemptContext) context() context.Context {
	c.once.Do(func() {
		var cancelable context.Context
		cancelable, c.cancel = context.WithCancelCause(c.parent)
		c.made, c.stop = context.WithDeadlineCause(cancelable, c.deadline, runs.ErrDeadline)
		c.cancels.add(c)
	})
	return c.made
}

// end ends the context, also for those who first ask it later. Call it when the attempt has ended.
func (c *attemptContext) end() {
	c.once.Do(func() { c.made = endedContext })
	if c.stop != nil {
		c.stop()
		c.cancel(nil)
		c.cancels.remove(c)
	}
}

func (c *attemptContext) Deadline() (time.Time, bool) { return c.context().Deadline() }
func (c *attemptContext) Done() <-chan struct{}       { return c.context().Done() }
func (c *attemptContext) Err() error                  { return c.context().Err() }
func (c *attemptContext) Value(key any) any           { return c.context().Value(key) }
