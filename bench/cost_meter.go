package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/internal/clock"
	"punctual/internal/runs"
)

const (
	// costBatch is how many runs each measured claim takes, which is the service's default.
	costBatch = 500
	// costDue is how far in the future the measured jobs are due, so that nothing else is due then.
	costDue = 12 * time.Hour
)

// layout says which jobs become due together. Scattered jobs come from all over the tables, so a
// claim visits pages of its own for each of them.
type layout struct{ name, sql string }

var neighbours, scattered = layout{"neighbours", sqlNeighbours}, layout{"scattered", sqlScattered}

// costMeter measures claims in one database.
type costMeter struct {
	*bench
	*scratch
	jobs  int
	size  int // jobs in a batch
	lease uuid.UUID
	// batches are the jobs of each batch that was made due and not claimed yet. The first of them
	// is due at due, and each other one a second after the one before.
	batches [][]uuid.UUID
	due     time.Time
	layout  layout
	// since is the instant from which the next claim reads the index, as the service does it.
	since time.Time

	cost                      ClaimCost
	claims, completions, cold []float64
}

// costMeter creates a database with a number of jobs. The caller has to close it.
func (b *bench) costMeter(ctx context.Context, jobs int) (*costMeter, error) {
	s, err := b.scratch(ctx)
	if err != nil {
		return nil, err
	}
	m := &costMeter{
		bench: b, scratch: s, jobs: jobs, size: min(costBatch, max(1, jobs/2)), lease: uuid.Must(uuid.NewV7()),
		due: time.Now().Add(costDue), layout: scattered,
	}
	day := 24 * time.Hour
	err = s.seed(ctx, seeding{jobs: jobs, interval: 7 * day, first: 2 * day, within: day, scattered: true})
	if err == nil {
		err = s.CreateLease(ctx, db.CreateLeaseParams{ID: m.lease, Holder: "bench", Duration: day})
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return m, nil
}

// makeDue makes batches due, each a second after the one before.
func (m *costMeter) makeDue(ctx context.Context) error {
	count := min(m.Claims, max(1, m.jobs/2/m.size)) // half of the jobs, so that no job is in two batches
	chosen, err := m.choose(ctx, count*m.size)
	if err != nil {
		return err
	}
	for n := range count {
		batch := chosen[n*m.size : (n+1)*m.size]
		m.batches = append(m.batches, batch)
		if _, err := m.pool.Exec(ctx, sqlMakeDue, batch, m.due.Add(time.Duration(n)*time.Second)); err != nil {
			return fmt.Errorf("make jobs due: %w", err)
		}
	}
	_, err = m.pool.Exec(ctx, sqlVacuum)
	return err
}

// switchLayout changes the layout of the following batches. It first works off the batches that are
// due already.
func (m *costMeter) switchLayout(ctx context.Context, layout layout) error {
	for len(m.batches) > 0 {
		if err := m.once(ctx, 0); err != nil {
			return err
		}
	}
	m.layout = layout
	return nil
}

// choose returns n jobs to become due together.
func (m *costMeter) choose(ctx context.Context, n int) ([]uuid.UUID, error) {
	rows, err := m.pool.Query(ctx, m.layout.sql, n, m.jobs)
	if err != nil {
		return nil, err
	}
	chosen, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err == nil && len(chosen) < n {
		err = fmt.Errorf("chose only %d of %d jobs", len(chosen), n)
	}
	return chosen, err
}

// nextBatch returns the parameters of a claim of the next batch. It makes more batches due if none
// is left.
func (m *costMeter) nextBatch(ctx context.Context) (p db.ClaimParams, err error) {
	if len(m.batches) == 0 {
		if err := m.makeDue(ctx); err != nil {
			return p, err
		}
	}
	before := m.due.Add(time.Second)
	return db.ClaimParams{Token: runs.NewToken(), LeaseID: m.lease, MaxRows: costBatch, Since: m.since, Ahead: time.Until(before)}, nil
}

// once claims and completes the nth batch, and notes the milliseconds of each if they count. Before
// every second batch it reads the pages of the batch: a few jobs are always in memory, and how fast
// pages are read depends on the machine.
func (m *costMeter) once(ctx context.Context, n int) error {
	params, err := m.nextBatch(ctx)
	if err != nil {
		return err
	}
	warm := n%2 == 0
	if warm {
		if _, err := m.pool.Exec(ctx, sqlTouch, m.batches[0]); err != nil {
			return fmt.Errorf("read a batch: %w", err)
		}
	}
	began := time.Now()
	rows, err := m.Claim(ctx, params)
	if err != nil {
		return fmt.Errorf("claim: %w", err)
	}
	claimed := time.Now()
	ends, records := completion(rows)
	if len(rows) != m.size {
		return fmt.Errorf("claimed %d of %d due jobs", len(rows), m.size)
	}
	for _, row := range rows {
		m.since = clock.Later(m.since, row.Claimed.ReadyAt)
	}
	built := time.Now()
	if err := m.complete(ctx, ends, records); err != nil {
		return fmt.Errorf("complete: %w", err)
	}
	switch stored := time.Now(); {
	case n < costWarmUp:
	case warm:
		m.claims = append(m.claims, ms(claimed.Sub(began)))
		m.completions = append(m.completions, ms(stored.Sub(built)))
	default:
		m.cold = append(m.cold, ms(claimed.Sub(began)))
	}
	m.due, m.batches = m.due.Add(time.Second), m.batches[1:]
	return nil
}

// explainClaim returns the plan of the claim of the next batch, and undoes the claim.
func (m *costMeter) explainClaim(ctx context.Context) (plan string, err error) {
	params, err := m.nextBatch(ctx)
	if err != nil {
		return "", err
	}
	tx, err := m.pool.Begin(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, tx.Rollback(ctx)) }()
	savepoint, err := tx.Begin(ctx)
	if err != nil {
		return "", err
	}
	if _, err := m.WithTx(savepoint).Claim(ctx, params); err != nil {
		return "", fmt.Errorf("claim: %w", err)
	}
	claim := m.counter.last("Claim")
	if err := savepoint.Rollback(ctx); err != nil {
		return "", err
	}
	rows, err := tx.Query(ctx, "explain (analyze, buffers) "+claim.SQL, claim.Args...)
	if err != nil {
		return "", fmt.Errorf("explain: %w", err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return strings.Join(lines, "\n"), err
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
