package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/runs"
)

// Ask says what a worker wants.
type Ask struct {
	Queue string
	// MaxRuns is how many runs it takes at most, at least 1.
	MaxRuns int
	// Wait is how long it waits for the first one.
	Wait time.Duration
	// Duration is how long its lease lasts without a heartbeat.
	Duration time.Duration
	// Holder names it for people.
	Holder string
}

// Lease is a worker's right to execute runs, until it runs out.
type Lease struct {
	ID        uuid.UUID
	ExpiresAt time.Time
	Runs      []db.ClaimRow
}

// waiter is a worker that waits.
type waiter struct {
	ask     Ask
	granted chan *Lease // has room for the one it gets
	gone    chan struct{}
}

// maxSlots bounds how many runs one statement hands out.
const maxSlots = 500

// Lease returns a lease on due runs, waiting for the first; nil: there were none in that time. A caller whose ctx ends gets
// nothing, and holds nothing.
func (b *Broker) Lease(ctx context.Context, ask Ask) (*Lease, error) {
	w := &waiter{ask: ask, granted: make(chan *Lease, 1), gone: make(chan struct{})}
	for ask.Wait <= 0 {
		claimed, err := b.grant(ctx, ask.Queue, []*waiter{w})
		if err != nil {
			return nil, err
		}
		if l, err := b.leave(ctx, w); l != nil || err != nil || claimed == 0 {
			return l, err
		}
		// What there was is not to be executed, and what comes after it may be due.
	}
	if !b.join(w) {
		return nil, nil
	}
	timer := time.NewTimer(ask.Wait)
	defer timer.Stop()
	select {
	case l := <-w.granted:
		w.granted <- l // for leave to see whether somebody is left to take it
	case <-timer.C:
	case <-w.gone:
	case <-ctx.Done():
	}
	return b.leave(ctx, w)
}

// join puts a waiter at the end of its line. It reports false when the Broker has been closed.
func (b *Broker) join(w *waiter) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	l := b.lines[w.ask.Queue]
	if l == nil {
		l = &line{}
		l.forget()
		b.lines[w.ask.Queue] = l
	}
	l.waiting = append(l.waiting, w)
	b.alarm.Ring(l.next)
	return true
}

// leave takes a waiter out of its line, and returns what it was granted all the same. Nobody is left to take that where ctx has
// ended: then it is given back.
func (b *Broker) leave(ctx context.Context, w *waiter) (*Lease, error) {
	b.mu.Lock()
	if l := b.lines[w.ask.Queue]; l != nil {
		l.remove(w, time.Now())
	}
	b.mu.Unlock()
	select {
	case l := <-w.granted:
		if ctx.Err() == nil {
			return l, nil
		}
		b.giveBack(context.WithoutCancel(ctx), l)
	default:
	}
	return nil, ctx.Err()
}

// close sends everybody away.
func (b *Broker) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for _, l := range b.lines {
		for _, w := range l.waiting {
			close(w.gone)
		}
		l.waiting = nil
	}
}

// giveBackWithin bounds giving runs back: if the database does not answer, their lease runs out by itself.
const giveBackWithin = 5 * time.Second

// giveBack frees runs that were claimed for a worker that has gone.
func (b *Broker) giveBack(ctx context.Context, l *Lease) {
	ctx, cancel := context.WithTimeout(ctx, giveBackWithin)
	defer cancel()
	for i := range l.Runs {
		row := &l.Runs[i]
		if err := b.release(ctx, row.ScheduledFor, row.Token, &row.Job); err != nil {
			b.Logger.WarnContext(ctx, "a run waits for its lease to run out: its worker has gone", "error", err)
			return
		}
	}
	b.forgetLease(ctx, l.ID)
}

// grant claims due runs of a queue for those who wait, and hands them over, one to each by turn. Who gets one leaves the line. It
// returns how many it claimed.
func (b *Broker) grant(ctx context.Context, queue string, waiting []*waiter) (claimed int, err error) {
	params := db.ClaimQueuedParams{Token: runs.NewToken(), Queue: queue}
	takers := map[uuid.UUID]*waiter{}
	ids := make([]uuid.UUID, len(waiting))
	for turn := 0; ; turn++ {
		before := len(params.LeaseIds)
		for i, w := range waiting {
			if turn >= w.ask.MaxRuns || len(params.LeaseIds) == maxSlots {
				continue
			}
			if turn == 0 {
				if ids[i], err = uuid.NewV7(); err != nil {
					return 0, fmt.Errorf("make a lease id: %w", err)
				}
				takers[ids[i]] = w
			}
			params.LeaseIds = append(params.LeaseIds, ids[i])
			params.Holders = append(params.Holders, w.ask.Holder)
			params.Durations = append(params.Durations, w.ask.Duration)
		}
		if len(params.LeaseIds) == before {
			break
		}
	}
	// Not cut off when a worker goes, or the instance stops: what was claimed would wait for its lease to run out.
	ctx = context.WithoutCancel(ctx)
	rows, err := b.queries.ClaimQueued(ctx, params)
	if err != nil {
		return 0, fmt.Errorf("claim for workers: %w", err)
	}
	for id, lease := range b.prepare(ctx, rows, takers) {
		if len(lease.Runs) == 0 {
			b.forgetLease(ctx, id)
			continue
		}
		b.hand(ctx, takers[id], lease)
	}
	return len(rows), nil
}

// hand gives a waiter its lease, unless it has gone.
func (b *Broker) hand(ctx context.Context, w *waiter, lease *Lease) {
	b.mu.Lock()
	isThere := w.ask.Wait <= 0
	if l := b.lines[w.ask.Queue]; l != nil && !isThere {
		isThere = l.remove(w, time.Now())
	}
	if isThere {
		w.granted <- lease
	}
	b.mu.Unlock()
	if !isThere {
		b.giveBack(ctx, lease)
	}
}

// prepare makes leases of what was claimed for takers. Runs that are not to be executed are ended here.
func (b *Broker) prepare(ctx context.Context, rows []db.ClaimQueuedRow, takers map[uuid.UUID]*waiter) map[uuid.UUID]*Lease {
	leases := map[uuid.UUID]*Lease{}
	claimed := make([]*runs.Outcome, len(rows))
	for i, row := range rows {
		b.clock.Observe(row.ReadAt)
		leases[row.LeaseID] = &Lease{ID: row.LeaseID, ExpiresAt: row.LeasedAt.Add(takers[row.LeaseID].ask.Duration)}
		claimed[i] = new(runs.New(claimOf(db.GetLeasedRow(row))))
	}
	now := b.clock.Now()
	if err := b.outcomes.Split(ctx, now, claimed); err != nil {
		b.Logger.ErrorContext(ctx, "schedules wait for their runs to end", "error", err)
	}
	var over []*runs.Outcome
	for i, o := range claimed {
		if !o.Prepare(now) {
			over = append(over, o)
			continue
		}
		if _, err := b.outcomes.CancelEarlier(ctx, o); err != nil {
			b.Logger.ErrorContext(ctx, "earlier runs go on", "runId", o.RunID(), "error", err)
		}
		lease := leases[rows[i].LeaseID]
		lease.Runs = append(lease.Runs, o.Row)
	}
	if len(over) > 0 {
		if _, _, err := b.outcomes.Batch(ctx, over); err != nil {
			// Their lease runs out, and they are claimed again.
			b.Logger.ErrorContext(ctx, "runs that are not executed were not stored", "runs", len(over), "error", err)
		}
	}
	return leases
}
