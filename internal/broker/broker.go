// Package broker hands due runs to workers: processes outside of the service that lease them, keep their leases by
// heartbeats, and say how each run ended.
//
// Any number of instances do so for one database. Workers that wait cost nothing but a connection each: an instance
// knows when something is due next in each queue that is asked for, by one query for all of them, and by notifications.
package broker

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/gen/db"
	"punctual/internal/clock"
	"punctual/internal/runs"
)

// Config is what a Broker needs. Zero means default.
type Config struct {
	Pool   *pgxpool.Pool
	Logger *slog.Logger
	// Pauser pauses a job when one of its runs ends in a way that requires it.
	Pauser runs.Pauser
	// PollInterval is the longest it goes without looking at the database while workers wait, and so bounds the lateness of
	// what it was not told of. Default 5 s.
	PollInterval time.Duration
	// Announce is told when a run's end makes something due, for a queue's workers or, where the queue is empty, for
	// instances. It must not block. Default: it is found by polling.
	Announce func(queue string, readyAt, now time.Time)
}

// Broker brings workers that wait together with runs that are due. Make it with New and Run it. Safe for concurrent use.
type Broker struct {
	Config
	queries  *db.Queries
	outcomes runs.Store
	clock    clock.Clock
	alarm    *clock.Alarm

	mu     sync.Mutex
	lines  map[string]*line
	closed bool
	// lookedAt is when all lines were looked at last, by this machine's monotonic clock: what the time is in the database is not
	// known before the first look.
	lookedAt time.Time
}

// New returns a Broker that hands out nothing yet.
func New(c Config) *Broker {
	c.Logger = cmp.Or(c.Logger, slog.Default())
	c.PollInterval = cmp.Or(c.PollInterval, 5*time.Second)
	if c.Announce == nil {
		c.Announce = func(string, time.Time, time.Time) {}
	}
	b := &Broker{Config: c, queries: db.New(c.Pool), alarm: clock.NewAlarm(), lines: map[string]*line{}}
	b.outcomes = runs.Store{Queries: b.queries, Logger: c.Logger, Pauser: c.Pauser, Due: b.due}
	return b
}

const (
	// retryDelay is how long to wait when the database has failed.
	retryDelay = 200 * time.Millisecond
	// vainDelay is how long to wait when what was due could not be had.
	vainDelay = 20 * time.Millisecond
)

// Run hands out runs until ctx ends; from then on nobody waits any more. A pass that fails is logged and tried again.
func (b *Broker) Run(ctx context.Context) {
	defer b.close()
	for ctx.Err() == nil {
		b.alarm.Clear() // before the pass: what becomes due while it runs may be too late for it
		next, err := b.pass(ctx)
		if err != nil && ctx.Err() == nil {
			b.Logger.ErrorContext(ctx, "handing runs to workers failed", "error", err)
			next = b.clock.Now().Add(retryDelay)
		}
		b.alarm.Ring(next)
		b.alarm.Wait(ctx, b.clock.Now)
	}
}

// Due tells the Broker that something in a queue is due at readyAt, by the database's clock, perhaps sooner than it knows.
func (b *Broker) Due(queue string, readyAt time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.lines[queue]; l != nil {
		l.hear(readyAt)
		b.alarm.Ring(readyAt)
	}
}

// Missed tells the Broker that it may not have been told of something.
func (b *Broker) Missed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lookedAt = time.Time{}
	b.alarm.Ring(time.Time{})
}

// due is told what the runs of this instance's workers make due.
func (b *Broker) due(queue *string, readyAt time.Time) {
	name := ""
	if queue != nil {
		name = *queue
		b.Due(name, readyAt)
	}
	b.Announce(name, readyAt, b.clock.Now())
}

// pass hands out what is due, and returns when to look again.
func (b *Broker) pass(ctx context.Context) (next time.Time, err error) {
	for ctx.Err() == nil {
		if err := b.look(ctx); err != nil {
			return time.Time{}, err
		}
		queue, waiting := b.ready()
		if len(waiting) == 0 {
			return b.nextLook(), nil
		}
		claimed, err := b.grant(ctx, queue, waiting)
		if err != nil {
			return time.Time{}, err
		}
		if claimed == 0 {
			// Somebody else was quicker, or holds what is due in a transaction: not to ask in vain as fast as can be.
			select {
			case <-ctx.Done():
			case <-time.After(vainDelay):
			}
		}
	}
	return time.Time{}, ctx.Err()
}

// look finds out when something is due next, in the queues of which that is not known, and from time to time in all.
func (b *Broker) look(ctx context.Context) error {
	queues := b.unknown()
	if len(queues) == 0 {
		return nil
	}
	rows, err := b.queries.NextQueued(ctx, queues)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		for _, queue := range queues {
			if l := b.lines[queue]; l != nil {
				l.forget()
			}
		}
		return err
	}
	for _, row := range rows {
		b.clock.Observe(row.ReadAt)
		if l := b.lines[row.Queue]; l != nil {
			l.learn(row.ReadyAt)
		}
	}
	return nil
}

// unknown returns the queues to be looked at.
func (b *Broker) unknown() (queues []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	all := now.Sub(b.lookedAt) >= b.PollInterval
	if all {
		b.lookedAt = now
		maps.DeleteFunc(b.lines, func(_ string, l *line) bool { return l.isForgotten(now) })
	}
	for queue, l := range b.lines {
		if all || !l.isKnown() {
			l.beginLook()
			queues = append(queues, queue)
		}
	}
	return queues
}

// ready returns a queue in which something is due, and who waits for it.
func (b *Broker) ready() (queue string, waiting []*waiter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.Now()
	for queue, l := range b.lines {
		if len(l.waiting) > 0 && !l.next.After(now) {
			l.forget() // what is due after that is not known
			return queue, slices.Clone(l.waiting)
		}
	}
	return "", nil
}

// nextLook returns when something is due next for somebody who waits, or all is to be looked at.
func (b *Broker) nextLook() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := never
	if len(b.lines) > 0 {
		next = b.clock.Now().Add(b.PollInterval - time.Since(b.lookedAt))
	}
	for _, l := range b.lines {
		if len(l.waiting) > 0 {
			next = clock.Earlier(next, l.next)
		}
	}
	return next
}
