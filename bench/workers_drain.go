package main

import (
	"context"
	"errors"
	"fmt"
)

// drainWorkers is how many workers work off a backlog.
const drainWorkers = 64

// workerBatches are how many runs each of them leases at a time.
var workerBatches = []int{1, 100}

func workersName(runs int) string {
	if runs == 1 {
		return fmt.Sprintf("%d workers, run by run", drainWorkers)
	}
	return fmt.Sprintf("%d workers, batches of %d", drainWorkers, runs)
}

// leastOfWorkers returns how many runs per second workers have to complete, where the service by
// itself has drained that fast.
func leastOfWorkers(batch int, drained []Throughput) float64 {
	switch {
	case batch == 1:
		return 3000
	case len(drained) == 0:
		return 12_000
	default:
		return min(12_000, 0.35*medianThroughput(drained).RunsPerSecond)
	}
}

// workersDrain measures workers that work off the backlog over HTTP. Each leases a number of runs
// at a time, completes them in one request, and asks again.
func (b *bench) workersDrain(ctx context.Context, batch int) (t Throughput, err error) {
	s, err := b.filled(ctx)
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.makeQueued(ctx); err != nil {
		return t, err
	}
	if b.CPUProfile != "" {
		stop, err := profile(b.CPUProfile)
		if err != nil {
			return t, err
		}
		defer stop()
	}
	err = serving(ctx, s, func(ctx context.Context, url string) error {
		m, err := s.begin(ctx)
		if err != nil {
			return err
		}
		f := startFleet(ctx, url, fleetConfig{workers: drainWorkers, batch: batch, until: b.Jobs})
		defer f.end()
		if err := f.drained(); err != nil {
			return err
		}
		t, err = m.end(ctx, b.Jobs)
		return err
	})
	return t, err
}
