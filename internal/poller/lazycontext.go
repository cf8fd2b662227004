package poller

import (
	"context"
	"sync"
	"time"
)

// lazyContext is what context.WithDeadlineCause returns, made when somebody first asks it anything. To make one means to
// set a timer and to lock the parent that all runs of a batch share, which costs more than all else that is done for a
// run whose executor has no use for it.
type lazyContext struct {
	parent   context.Context
	deadline time.Time
	cause    error

	once   sync.Once
	made   context.Context
	cancel context.CancelFunc
}

var _ context.Context = (*lazyContext)(nil)

// endedContext is a context that has ended.
var endedContext = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// context makes the context, or returns the one that was made.
func (c *lazyContext) context() context.Context {
	c.once.Do(func() { c.made, c.cancel = context.WithDeadlineCause(c.parent, c.deadline, c.cause) })
	return c.made
}

// end ends the context, also for those who first ask it later. Call it when the work is done.
func (c *lazyContext) end() {
	c.once.Do(func() { c.made, c.cancel = endedContext, func() {} })
	c.cancel()
}

func (c *lazyContext) Deadline() (time.Time, bool) { return c.context().Deadline() }
func (c *lazyContext) Done() <-chan struct{}       { return c.context().Done() }
func (c *lazyContext) Err() error                  { return c.context().Err() }
func (c *lazyContext) Value(key any) any           { return c.context().Value(key) }
