package main

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"punctual/internal/executor"
	"punctual/internal/jobs"
	"punctual/internal/lease"
	"punctual/internal/maintenance"
	"punctual/internal/poller"
)

// noop executes by counting.
type noop struct {
	executed atomic.Int64
	enough   int64         // 0: never
	done     chan struct{} // closed at enough
}

func newNoop(enough int) *noop { return &noop{enough: int64(enough), done: make(chan struct{})} }

func (n *noop) Execute(context.Context, executor.Run) (*executor.Result, error) {
	if n.executed.Add(1) == n.enough {
		close(n.done)
	}
	return nil, nil //nolint:nilnil // it succeeds, and there is nothing to read
}

// instance is what a process of the service does, without the API.
type instance struct {
	poller     *poller.Poller
	lease      *lease.Keeper
	stopPoller context.CancelFunc
	stopRest   context.CancelFunc
	polling    sync.WaitGroup
	rest       sync.WaitGroup
}

// start starts an instance that executes with e.
func (b *bench) start(ctx context.Context, s *scratch, e executor.Executor) *instance {
	return b.startPoller(ctx, s, poller.Config{Executor: e})
}

// startPoller starts an instance whose poller is as c says: its executor, and the keys of secrets where there are some.
func (b *bench) startPoller(ctx context.Context, s *scratch, c poller.Config) *instance {
	quiet := slog.New(slog.DiscardHandler)
	i := &instance{lease: lease.NewKeeper(lease.Config{Queries: s.Queries, Logger: b.log})}
	c.Pool, c.Lease, c.Logger = s.pool, i.lease, b.log
	c.Pauser = jobs.New(jobs.Config{Pool: s.pool})
	c.BatchSize, c.MaxConcurrentRuns = b.BatchSize, b.MaxConcurrentRuns
	i.poller = poller.New(c)
	polling, stopPoller := context.WithCancel(ctx)
	rest, stopRest := context.WithCancel(ctx)
	i.stopPoller, i.stopRest = stopPoller, stopRest
	i.rest.Go(func() { i.lease.Run(rest) })
	i.rest.Go(func() { maintenance.Partitions(s.Queries).Run(rest, quiet) })
	i.rest.Go(func() { maintenance.Abandoned(s.Queries, func() { i.poller.Due(time.Time{}) }).Run(rest, quiet) })
	i.polling.Go(func() { i.poller.Run(polling) })
	return i
}

// stop stops it as the service does. When it returns, everything that was executed is stored.
func (i *instance) stop(ctx context.Context) error {
	i.stopPoller()
	i.polling.Wait()
	err := i.poller.Drain(ctx)
	i.stopRest()
	i.rest.Wait()
	return err
}

// giveUp gives its lease up.
func (i *instance) giveUp(ctx context.Context) error {
	_, err := i.lease.Release(ctx)
	return err
}

// pause waits for d, or until ctx ends, which is an error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
