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
	// costBatch is how many runs each measured claim takes: the service's default.
	costBatch = 500
	// costDue is when the measured jobs are due, from now: so that nothing that is due meanwhile gets in the way.
	costDue = 12 * time.Hour
)

// layout is which jobs become due together. Each of those from all over the tables has pages of its own to be visited.
type layout struct{ name, sql string }

var neighbours, scattered = layout{"neighbours", sqlNeighbours}, layout{"scattered", sqlScattered}

// costMeter measures claims in one database.
type costMeter struct {
	*bench
	*scratch
	jobs  int
	size  int // of a batch
	lease uuid.UUID
	// due is when the next batch is due that was made so, and left how many there are.
	due  time.Time
	left int
	// batches are the jobs of those that are left.
	batches [][]uuid.UUID
	// together says which jobs become due together.
	together layout
	// since is from where the next claim reads: as the service does it.
	since time.Time

	cost                      ClaimCost
	claims, completions, cold []float64
}

// costMeter makes a database with so many jobs. Close it.
func (b *bench) costMeter(ctx context.Context, jobs int) (*costMeter, error) {
	s, err := b.scratch(ctx)
	if err != nil {
		return nil, err
	}
	m := &costMeter{
		bench: b, scratch: s, jobs: jobs, size: min(costBatch, max(1, jobs/2)), lease: uuid.Must(uuid.NewV7()),
		due: time.Now().Add(costDue), together: scattered,
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

// makeDue makes batches due, a second after each other.
func (m *costMeter) makeDue(ctx context.Context) error {
	m.left, m.batches = min(m.Claims, max(1, m.jobs/2/m.size)), nil // no job is in two of them
	chosen, err := m.choose(ctx, m.left*m.size)
	if err != nil {
		return err
	}
	for n := range m.left {
		batch := chosen[n*m.size : (n+1)*m.size]
		m.batches = append(m.batches, batch)
		if _, err := m.pool.Exec(ctx, sqlMakeDue, batch, m.due.Add(time.Duration(n)*time.Second)); err != nil {
			return fmt.Errorf("make jobs due: %w", err)
		}
	}
	_, err = m.pool.Exec(ctx, sqlVacuum)
	return err
}

// become has the jobs that become due together be others from now on. What is left of those before is worked off.
func (m *costMeter) become(ctx context.Context, together layout) error {
	for m.left > 0 {
		if err := m.once(ctx, 0); err != nil {
			return err
		}
	}
	m.together = together
	return nil
}

// choose returns n jobs that are to become due together.
func (m *costMeter) choose(ctx context.Context, n int) ([]uuid.UUID, error) {
	rows, err := m.pool.Query(ctx, m.together.sql, n, m.jobs)
	if err != nil {
		return nil, err
	}
	chosen, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err == nil && len(chosen) < n {
		err = fmt.Errorf("found %d jobs of %d", len(chosen), n)
	}
	return chosen, err
}

// nextBatch asks for the next batch that is due, and makes more due where there is none.
func (m *costMeter) nextBatch(ctx context.Context) (p db.ClaimParams, err error) {
	if m.left == 0 {
		if err := m.makeDue(ctx); err != nil {
			return p, err
		}
	}
	before := m.due.Add(time.Second)
	return db.ClaimParams{Token: runs.NewToken(), LeaseID: m.lease, MaxRows: costBatch, Since: m.since, Ahead: time.Until(before)}, nil
}

// once claims and completes the nth batch, and notes the milliseconds of each if they count. Before every other, its pages
// are brought into memory: how fast pages are read is the machine's business, and few jobs are always in memory.
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
	c := completion(rows)
	if len(rows) != m.size {
		return fmt.Errorf("claimed %d of %d", len(rows), m.size)
	}
	for _, row := range rows {
		m.since = clock.Later(m.since, row.ReadyAt)
	}
	built := time.Now()
	if _, err := m.Complete(ctx, c); err != nil {
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
	m.due, m.left, m.batches = m.due.Add(time.Second), m.left-1, m.batches[1:]
	return nil
}

// explainClaim says how the claim of the next batch is executed, and undoes it.
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
	claim := m.counter.last("Claim") // its text and its parameters
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
