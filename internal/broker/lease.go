package broker

import (
	"context"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"punctual/internal/runs"
)

// Ask says what a worker wants.
type Ask struct {
	// Queue is qualified by its namespace (access.Qualified), like everywhere in this package.
	Queue string
	// MaxRuns is how many runs it takes at most, at least 1.
	MaxRuns int
	// Wait is how long it waits for the first one.
	Wait time.Duration
	// Duration is how long its lease lasts without a heartbeat.
	Duration time.Duration
	// Holder names it for people.
	Holder string
	// Recheck returns an error if the worker may no longer have a lease, because it has waited for
	// long. Default: it may.
	Recheck func(context.Context) error
}

// Lease is a worker's right to execute runs, until it expires.
type Lease struct {
	ID        uuid.UUID
	ExpiresAt time.Time
	Runs      []*LeasedRun
}

// LeasedRun is an attempt that a worker makes.
type LeasedRun = runs.Attempt

// SpanOf returns the span of an attempt, of which what the worker does is a child.
func (b *Broker) SpanOf(run *LeasedRun) trace.SpanContext { return b.runs.SpanOf(run) }

// waiter is a worker that waits.
type waiter struct {
	ask     Ask
	granted chan *Lease   // has room for the one it gets
	closed  chan struct{} // closed when nobody waits any more
}

// Lease returns a lease on due runs, waiting for the first, or nil if there were none in that time.
// It fails if it could not know, because the database cannot be asked. A caller whose ctx ends gets
// nothing, and holds nothing.
func (b *Broker) Lease(ctx context.Context, ask Ask) (*Lease, error) {
	w := &waiter{ask: ask, granted: make(chan *Lease, 1), closed: make(chan struct{})}
	for ask.Wait <= 0 {
		claimed, err := b.grant(ctx, []turn{{queue: ask.Queue, waiting: []*waiter{w}}})
		if err != nil {
			return nil, err
		}
		if l, err := b.leave(ctx, w); l != nil || err != nil || claimed == 0 {
			return l, err
		}
		// The claimed runs were ended without being executed. What comes after them may be due.
	}
	if !b.join(w) {
		return nil, nil
	}
	timer := time.NewTimer(ask.Wait)
	defer timer.Stop()
	select {
	case l := <-w.granted:
		w.granted <- l // leave takes it, or gives it back if ctx has ended
	case <-timer.C:
	case <-w.closed:
	case <-ctx.Done():
	}
	l, err := b.leave(ctx, w)
	if l == nil && err == nil {
		err = b.lastFailure()
	}
	return l, err
}

// lastFailure returns why the latest pass failed, or nil if it succeeded.
func (b *Broker) lastFailure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	return b.failure
}

// join appends a waiter to its queue. It returns false if the Broker was closed.
func (b *Broker) join(w *waiter) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	q := b.queues[w.ask.Queue]
	if q == nil {
		q = &queue{}
		q.forget()
		b.queues[w.ask.Queue] = q
	}
	q.waiting = append(q.waiting, w)
	b.alarm.Ring(q.next)
	return true
}

// leave removes a waiter from its queue, and returns the lease that it was granted, if any. It
// gives the lease back if ctx has ended, because nobody waits for it any more, or if Recheck
// returns an error.
func (b *Broker) leave(ctx context.Context, w *waiter) (*Lease, error) {
	b.mu.Lock()
	if q := b.queues[w.ask.Queue]; q != nil {
		q.remove(w, time.Now())
	}
	b.mu.Unlock()
	select {
	case l := <-w.granted:
		err := ctx.Err()
		if err == nil && w.ask.Recheck != nil {
			err = w.ask.Recheck(ctx)
		}
		if err == nil {
			return l, nil
		}
		b.giveBack(context.WithoutCancel(ctx), l)
		return nil, err
	default:
	}
	return nil, ctx.Err()
}

// close sends all waiters away.
func (b *Broker) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for _, q := range b.queues {
		q.sendAway()
	}
}

// SendAway sends those away who wait for runs of a queue. They get none.
func (b *Broker) SendAway(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if q := b.queues[name]; q != nil {
		q.sendAway()
	}
}

// giveBackTimeout bounds giving runs back: if the database does not answer, their lease expires.
const giveBackTimeout = 5 * time.Second

// giveBack frees runs that were claimed for a worker that has gone.
func (b *Broker) giveBack(ctx context.Context, l *Lease) {
	ctx, cancel := context.WithTimeout(ctx, giveBackTimeout)
	defer cancel()
	for _, a := range l.Runs {
		if err := b.release(ctx, a.Due.ScheduledFor, a.Due.Token, &a.Job); err != nil {
			b.Logger.WarnContext(ctx, "could not give a run back whose worker has gone; it waits until its lease expires",
				"runId", a.RunID(), "error", err)
			return
		}
	}
	b.forgetLeases(ctx, l.ID)
}

// hand gives a waiter its lease, unless it has gone.
func (b *Broker) hand(ctx context.Context, w *waiter, lease *Lease) {
	b.mu.Lock()
	isThere := w.ask.Wait <= 0
	if q := b.queues[w.ask.Queue]; q != nil && !isThere {
		isThere = q.remove(w, time.Now())
	}
	if isThere {
		w.granted <- lease
	}
	b.mu.Unlock()
	if !isThere {
		b.giveBack(ctx, lease)
	}
}
