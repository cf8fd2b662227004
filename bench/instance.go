package main

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"punctual/gen/db"
	"punctual/internal/events"
	"punctual/internal/executor"
	"punctual/internal/instances"
	"punctual/internal/jobs"
	"punctual/internal/lease"
	"punctual/internal/maintenance"
	"punctual/internal/metrics"
	"punctual/internal/poller"
	"punctual/internal/stats"
)

// noop is an executor that only counts.
type noop struct {
	executed atomic.Int64
	enough   int64         // 0 means never
	done     chan struct{} // closed when enough runs were executed
}

func newNoop(enough int) *noop { return &noop{enough: int64(enough), done: make(chan struct{})} }

func (n *noop) Execute(context.Context, executor.Run) (*executor.Result, error) {
	if n.executed.Add(1) == n.enough {
		close(n.done)
	}
	return nil, nil //nolint:nilnil // a success without a result
}

// instance is an instance of the service without the API.
type instance struct {
	poller     *poller.Poller
	lease      *lease.Keeper
	stopPoller context.CancelFunc
	stopRest   context.CancelFunc
	polling    sync.WaitGroup
	rest       sync.WaitGroup
}

// start starts an instance with an executor.
func (b *bench) start(ctx context.Context, s *scratch, e executor.Executor) *instance {
	return b.startPoller(ctx, s, poller.Config{Executor: e})
}

// startPoller starts an instance whose poller has the executor and the keys of c.
func (b *bench) startPoller(ctx context.Context, s *scratch, c poller.Config) *instance {
	quiet := slog.New(slog.DiscardHandler)
	registry, err := instances.New(instances.Config{Queries: s.Queries, Logger: b.log, Roles: []string{"POLLER"}})
	if err != nil {
		panic(err) // the system has no random numbers
	}
	i := &instance{lease: lease.NewKeeper(lease.Config{Queries: s.Queries, Logger: b.log, Instance: registry})}
	c.Pool, c.Lease, c.Logger = s.pool, i.lease, b.log
	c.Jobs, c.Tracer = jobs.New(jobs.Config{Pool: s.pool}), b.traces.OfRuns()
	c.BatchSize, c.MaxConcurrentRuns = b.BatchSize, b.MaxConcurrentRuns
	counted := stats.NewCollector(s.Queries)
	c.Observe = counted.Observe
	if b.Metrics && c.Meter == nil {
		measured := metrics.New(metrics.Config{}).Runs
		c.Meter, c.Observe = measured, func(job *db.Job, target string, run events.Run) {
			counted.Observe(job, target, run)
			measured.Observe(job, target, run)
		}
	}
	i.poller = poller.New(c)
	polling, stopPoller := context.WithCancel(ctx)
	rest, stopRest := context.WithCancel(ctx)
	i.stopPoller, i.stopRest = stopPoller, stopRest
	i.rest.Go(func() { i.lease.Run(rest) })
	i.rest.Go(func() { registry.Run(rest) })
	i.rest.Go(func() { maintenance.Partitions(s.Queries).Run(rest, quiet) })
	i.rest.Go(func() { maintenance.AddStats(counted.Flush).Run(rest, quiet) })
	i.rest.Go(func() { maintenance.Abandoned(s.Queries, func() { i.poller.Due(time.Time{}) }).Run(rest, quiet) })
	i.polling.Go(func() { i.poller.Run(polling) })
	return i
}

// stop stops the instance as the service does. Then everything that it has executed is stored.
func (i *instance) stop(ctx context.Context) error {
	i.stopPoller()
	i.polling.Wait()
	err := i.poller.Drain(ctx)
	i.stopRest()
	i.rest.Wait()
	return err
}

// giveUp releases the lease of the instance.
func (i *instance) giveUp(ctx context.Context) error {
	_, err := i.lease.Release(ctx)
	return err
}

// pause waits for d. If ctx ends before that, it returns the cause.
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
