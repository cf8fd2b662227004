package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"punctual/gen/db"
	"punctual/internal/database"
	"punctual/internal/events"
	"punctual/internal/poller"
	"punctual/internal/runs"
	"punctual/internal/schedule"
)

// The bare loop has two claimers. More of them gain nothing on two cores.
const (
	bareClaimers = 2
	bareLease    = time.Hour
)

var bareBatches = []int{500, 2000}

// The names of the contestants.
const (
	drainName = "drain by the service"
	riverName = "River"
)

func bareName(batch int) string { return fmt.Sprintf("bare loop, batches of %d", batch) }

// backlog describes what drain and bare work off: jobs that became due in the order of creation.
func (b *bench) backlog() seeding {
	return seeding{jobs: b.Jobs, interval: time.Hour, first: -5 * time.Second, within: 5 * time.Second}
}

// throughput measures how fast each contestant works off a backlog, in several rounds. On a machine
// that others use too, only numbers of one round can be compared.
func (b *bench) throughput(ctx context.Context) (err error) {
	type contestant struct {
		name    string
		measure func(context.Context) (Throughput, error)
	}
	var contestants []contestant
	if b.wants("drain") {
		contestants = append(contestants, contestant{drainName, b.drain})
	}
	if b.wants("drain-followed") {
		contestants = append(contestants, contestant{followedName, b.followedDrain})
	}
	if b.wants("bare") {
		for _, batch := range bareBatches {
			contestants = append(contestants, contestant{
				bareName(batch),
				func(ctx context.Context) (Throughput, error) { return b.bare(ctx, batch) },
			})
		}
	}
	if b.wants("workers") {
		for _, batch := range workerBatches {
			contestants = append(contestants, contestant{
				workersName(batch),
				func(ctx context.Context) (Throughput, error) { return b.workersDrain(ctx, batch) },
			})
		}
	}
	if b.wants("river") && b.River != "" {
		contestants = append(contestants, contestant{riverName, b.riverDrain})
	}
	measured := map[string][]Throughput{}
	for round := range b.Rounds {
		for _, c := range contestants {
			t, err := c.measure(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			t.Name = c.name
			measured[c.name] = append(measured[c.name], t)
			b.log.InfoContext(ctx, "measured", "what", c.name, "round", round+1, "runsPerSecond", int(t.RunsPerSecond),
				"walBytesPerRun", int(t.WALBytesPerRun))
		}
	}
	b.report.checkThroughput(measured)
	for _, c := range contestants {
		b.report.Throughput = append(b.report.Throughput, medianThroughput(measured[c.name]))
	}
	return nil
}

// drain measures an instance of the service.
func (b *bench) drain(ctx context.Context) (t Throughput, err error) {
	s, err := b.filled(ctx)
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return b.drainOf(ctx, s, events.New(events.Config{Queries: s.Queries}))
}

// drainOf measures an instance that tells what happens.
func (b *bench) drainOf(ctx context.Context, s *scratch, teller *events.Teller) (t Throughput, err error) {
	if b.CPUProfile != "" {
		stop, err := profile(b.CPUProfile)
		if err != nil {
			return t, err
		}
		defer stop()
	}

	executor := newNoop(b.Jobs)
	m, err := s.begin(ctx)
	if err != nil {
		return t, err
	}
	i := b.startPoller(ctx, s, poller.Config{Executor: executor, Events: teller})
	select {
	case <-executor.done:
	case <-ctx.Done():
	}
	err = i.stop(ctx)
	if err = errors.Join(err, context.Cause(ctx)); err != nil {
		return t, err
	}
	if t, err = m.end(ctx, b.Jobs); err != nil {
		return t, err
	}
	return t, i.giveUp(ctx)
}

// bare measures the service's two statements in a loop, on the same backlog.
func (b *bench) bare(ctx context.Context, batch int) (t Throughput, err error) {
	s, err := b.filled(ctx)
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	m, err := s.begin(ctx)
	if err != nil {
		return t, err
	}
	claimers, ctx := errgroup.WithContext(ctx)
	for range bareClaimers {
		claimers.Go(func() error { return s.bareLoop(ctx, batch) })
	}
	if err := claimers.Wait(); err != nil {
		return t, err
	}
	return m.end(context.WithoutCancel(ctx), b.Jobs)
}

// bareLoop claims and completes until nothing is due.
func (s *scratch) bareLoop(ctx context.Context, batch int) error {
	id := uuid.Must(uuid.NewV7())
	if err := s.CreateLease(ctx, db.CreateLeaseParams{ID: id, Holder: "bench", Duration: bareLease}); err != nil {
		return err
	}
	for {
		rows, err := s.Claim(ctx, db.ClaimParams{Token: runs.NewToken(), LeaseID: id, MaxRows: int32(batch)})
		if err != nil {
			return fmt.Errorf("claim: %w", err)
		}
		if len(rows) == 0 {
			return nil
		}
		ends, records := completion(rows)
		if err := s.complete(ctx, ends, records); err != nil {
			return fmt.Errorf("complete: %w", err)
		}
	}
}

// complete stores runs as the service does.
func (s *scratch) complete(ctx context.Context, ends db.CompleteParams, records db.RecordRunsParams) error {
	return database.Transact(ctx, s.pool, func(tx *database.Tx) error {
		ended, err := db.New(tx).Complete(ctx, ends)
		if err == nil && len(ended) != len(ends.JobIds) {
			err = fmt.Errorf("completed %d of %d runs", len(ended), len(ends.JobIds))
		}
		if err != nil {
			return err
		}
		return db.New(tx.Later()).RecordRuns(ctx, records)
	})
}

// completion returns what the service would store for runs that succeed at once.
func completion(rows []db.ClaimRow) (c db.CompleteParams, r db.RecordRunsParams) {
	for i := range rows {
		row := &rows[i].Claimed
		next, _ := schedule.NewInterval(*rows[i].Job.AnchorAt, *rows[i].Job.IntervalSeconds).Next(row.StartedAt)
		c.JobIds = append(c.JobIds, row.JobID)
		c.ScheduledFors = append(c.ScheduledFors, row.ScheduledFor)
		c.Tokens = append(c.Tokens, row.Token)
		c.Revisions = append(c.Revisions, row.Revision)
		c.Triggers = append(c.Triggers, string(row.Trigger))
		c.Attempts = append(c.Attempts, row.Attempt)
		c.StartedAts = append(c.StartedAts, row.StartedAt)
		c.Statuses = append(c.Statuses, string(db.RunStatusSUCCEEDED))
		c.NextFors = append(c.NextFors, next)
		r.Occurrences = append(r.Occurrences, 1)
	}
	n := len(rows)
	c.FinishedAts, c.FinalStatuses, c.StatusReasons = c.StartedAts, make([]string, n), make([]string, n)
	r.JobIds, r.ScheduledFors, r.Triggers, r.Attempts = c.JobIds, c.ScheduledFors, c.Triggers, c.Attempts
	r.StartedAts, r.FinishedAts, r.Statuses = c.StartedAts, c.FinishedAts, c.Statuses
	r.RetryOfs, r.CancelRequestedAts, r.CausedBys = make([]time.Time, n), make([]time.Time, n), make([]uuid.UUID, n)
	r.Reasons, r.Errors, r.Results, r.ExecutedBys = make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	r.FailedAttempts, r.JobVersions, r.Payloads = make([]string, n), make([]int32, n), make([]string, n)
	return c, r
}

// filled creates a database with the backlog. The caller has to close it.
func (b *bench) filled(ctx context.Context) (*scratch, error) {
	// Now and not during the measurement: the first change of a page after a checkpoint logs all of
	// it.
	if err := b.admin(ctx, "checkpoint"); err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	s, err := b.scratch(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.seed(ctx, b.backlog()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}
