package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/internal/runs"
)

// costWarmUp is how many claims at the beginning do not count, because the statements are planned
// then.
const costWarmUp = 8

// maxCostRatio is how many times as much a claim may cost with many stored jobs as with few.
const maxCostRatio = 1.5

// claimCost measures one claim and one completion of a batch: with growing numbers of stored jobs,
// then with long runs in flight, then while dead rows cannot be removed. It measures alternately
// what it compares.
func (b *bench) claimCost(ctx context.Context) (err error) {
	var meters []*costMeter
	defer func() {
		for _, m := range meters {
			err = errors.Join(err, m.Close())
		}
	}()
	for _, jobs := range slices.Sorted(slices.Values(b.Stored)) {
		m, err := b.costMeter(ctx, jobs)
		if err != nil {
			return err
		}
		meters = append(meters, m)
	}
	few, most := meters[0], meters[len(meters)-1]
	if err := b.compare(ctx, "stored jobs", meters...); err != nil {
		return err
	}
	long, err := most.longRuns(ctx)
	if err != nil {
		return err
	}
	if err := b.compare(ctx, fmt.Sprintf("with %d long runs", long), few, most); err != nil {
		return err
	}
	end, runs, err := most.oldSnapshot(ctx)
	if err != nil {
		return err
	}
	err = b.compare(ctx, fmt.Sprintf("and a transaction open for %s and %d runs", b.OldestFor, runs), few, most)
	return errors.Join(err, end())
}

// compare measures batches of both layouts in each database. The first meter is the one that the
// others are compared with.
func (b *bench) compare(ctx context.Context, name string, meters ...*costMeter) error {
	for _, layout := range []layout{neighbours, scattered} {
		if err := b.compareBy(ctx, layout, name+", "+layout.name, meters...); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) compareBy(ctx context.Context, layout layout, name string, meters ...*costMeter) error {
	for _, m := range meters {
		if err := m.switchLayout(ctx, layout); err != nil {
			return err
		}
		m.cost = ClaimCost{Name: name, Jobs: m.jobs}
		m.claims, m.completions, m.cold = nil, nil, nil
	}
	for n := range 2*b.Claims + costWarmUp {
		for _, m := range meters {
			if err := m.once(ctx, n); err != nil {
				return err
			}
		}
	}
	first := meters[0]
	for _, m := range meters {
		m.cost.Claim, m.cost.Complete, m.cost.ClaimCold = median(m.claims), median(m.completions), median(m.cold)
		if m != first {
			what := fmt.Sprintf("%s, %d / %d jobs", name, m.jobs, first.jobs)
			b.report.atMost("claim, "+what, m.cost.Claim/first.cost.Claim, maxCostRatio)
			b.report.atMost("complete, "+what, m.cost.Complete/first.cost.Complete, maxCostRatio)
			if m.cost.Claim > maxCostRatio*first.cost.Claim {
				var err error
				if m.cost.Explain, err = m.explainClaim(ctx); err != nil {
					return err
				}
			}
		}
		b.log.InfoContext(ctx, "measured", "what", name, "jobs", m.jobs, "claim", m.cost.Claim, "complete", m.cost.Complete)
		b.report.ClaimCost = append(b.report.ClaimCost, m.cost)
	}
	return nil
}

// longRuns claims jobs that have been due for an hour, does not complete them, and returns how many
// it has claimed.
func (m *costMeter) longRuns(ctx context.Context) (int, error) {
	long, err := m.choose(ctx, min(m.LongRuns, m.jobs/4))
	if err != nil {
		return 0, err
	}
	if _, err := m.pool.Exec(ctx, sqlMakeDue, long, time.Now().Add(-time.Hour)); err != nil {
		return 0, fmt.Errorf("make jobs due: %w", err)
	}
	for total := 0; ; {
		rows, err := m.Claim(ctx, db.ClaimParams{Token: runs.NewToken(), LeaseID: m.lease, MaxRows: int32(len(long))})
		if err != nil || len(rows) == 0 {
			return total, err
		}
		total += len(rows)
	}
}

// oldSnapshot runs the service for a while with a transaction open elsewhere, so that nothing can
// be vacuumed. It returns how many runs were executed, and a function that ends the transaction.
func (m *costMeter) oldSnapshot(ctx context.Context) (end func() error, runs int64, err error) {
	conn, err := pgx.Connect(ctx, m.scratch.url)
	if err != nil {
		return nil, 0, err
	}
	end = func() error { return conn.Close(context.WithoutCancel(ctx)) }
	defer func() {
		if err != nil {
			err = errors.Join(err, end())
		}
	}()
	old, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		return nil, 0, err
	}
	if _, err := old.Exec(ctx, sqlHoldSnapshot); err != nil {
		return nil, 0, err
	}
	busy, err := m.choose(ctx, min(m.FiresPerSecond, m.jobs/4))
	if err != nil {
		return nil, 0, err
	}
	if _, err := m.pool.Exec(ctx, sqlMakeBusy, busy); err != nil {
		return nil, 0, fmt.Errorf("make jobs fire each second: %w", err)
	}
	if _, err := m.pool.Exec(ctx, sqlMakeDue, busy, time.Now()); err != nil {
		return nil, 0, fmt.Errorf("make jobs due: %w", err)
	}
	executor := newNoop(0)
	i := m.start(ctx, m.scratch, executor)
	err = pause(ctx, m.OldestFor)
	if err = errors.Join(err, i.stop(ctx), i.giveUp(ctx)); err != nil {
		return nil, 0, err
	}
	if _, err := m.pool.Exec(ctx, sqlMakeDue, busy, time.Now().Add(2*24*time.Hour)); err != nil {
		return nil, 0, fmt.Errorf("make jobs due: %w", err)
	}
	return end, executor.executed.Load(), nil
}
