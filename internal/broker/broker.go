// Package broker hands due runs to workers: processes outside of the service that lease runs, keep
// their leases by heartbeats, and report how each run ended.
//
// Any number of instances do so for one database. A worker that waits costs nothing but a
// connection: an instance knows when something is due next in each queue that workers ask for, from
// one query for all of them, and from notifications.
package broker

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/gen/db"
	"punctual/internal/batches"
	"punctual/internal/clock"
	"punctual/internal/events"
	"punctual/internal/logging"
	"punctual/internal/runs"
)

// Config is what a Broker needs. Zero means default.
type Config struct {
	Pool   *pgxpool.Pool
	Logger *slog.Logger
	// Events tells what happens to runs. Default: nobody is told.
	Events *events.Teller
	// Blackouts are the times in which no run starts. Default: none.
	Blackouts runs.Blackouts
	// Observe gets to know of each run that has ended and is stored. Default: nobody looks on.
	Observe events.Observer
	// Tracer makes traces of the runs. Default: nobody does.
	Tracer runs.Tracer
	// LogRuns is whether each run that ends is logged. Failed runs are always logged.
	LogRuns bool
	// Meter measures claims and runs. Default: nobody does.
	Meter runs.Meter
	// Jobs changes a job when one of its runs ends in a way that requires it.
	Jobs runs.Jobs
	// PollInterval is the longest it goes without reading the database while workers wait, and so
	// bounds the lateness of what it was not told of. Default 5 s.
	PollInterval time.Duration
	// Announce is told when the end of a run makes something due, for the workers of a queue or, if
	// the queue is empty, for instances. It must not block. Default: others find it by polling.
	Announce func(queue string, readyAt time.Time)
}

// Broker brings workers that wait together with runs that are due. Make it with New and Run it.
// Safe for concurrent use.
type Broker struct {
	Config
	queries *db.Queries
	runs    runs.Store
	clock   clock.Clock
	alarm   *clock.Alarm
	reports *batches.Collector[*report]

	mu     sync.Mutex
	queues map[string]*queue
	closed bool
	// warned is when WarnUnserved has warned of a queue last.
	warned map[string]time.Time
	// failure is why the latest pass failed, or nil if it succeeded.
	failure error
	// lookedAt is when all queues were looked at last, by this machine's monotonic clock: the
	// database's time is not known before the first look.
	lookedAt time.Time
}

// New returns a Broker that hands out nothing yet.
func New(c Config) *Broker {
	c.Logger = cmp.Or(c.Logger, slog.Default())
	c.PollInterval = cmp.Or(c.PollInterval, 5*time.Second)
	if c.Announce == nil {
		c.Announce = func(string, time.Time) {}
	}
	b := &Broker{Config: c, queries: db.New(c.Pool), alarm: clock.NewAlarm(), reports: batches.New[*report](maxReports, 0), queues: map[string]*queue{}}
	b.runs = runs.Store{
		Pool: c.Pool, Queries: b.queries, Logger: c.Logger, Jobs: c.Jobs, Events: c.Events, Due: b.due, Blackouts: c.Blackouts,
		Observe: c.Observe, Meter: c.Meter, Tracer: c.Tracer, Now: b.clock.Now, LogRuns: c.LogRuns,
	}
	return b
}

const (
	// retryDelay is how long to wait when the database has failed.
	retryDelay = 200 * time.Millisecond
	// contentionDelay is how long to wait when others were quicker, or hold what is due in a
	// transaction: asking again at once would be in vain.
	contentionDelay = 20 * time.Millisecond
)

// Run hands out runs until ctx ends; from then on no worker waits any more. A pass that fails is
// logged and tried again.
func (b *Broker) Run(ctx context.Context) {
	defer b.close()
	outage := logging.Outage{
		Logger: b.Logger, Failing: "could not hand runs to workers; they wait until this succeeds",
		Working: "runs are handed to workers again",
	}
	for ctx.Err() == nil {
		b.alarm.Clear() // before the pass: what becomes due while it runs may be too late for it
		next, err := b.pass(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			outage.Failed(ctx, err)
			next = b.clock.Now().Add(retryDelay)
		default:
			outage.Worked(ctx)
		}
		b.mu.Lock()
		b.failure = err
		b.mu.Unlock()
		b.alarm.Ring(next)
		b.alarm.Wait(ctx, b.clock.Now)
	}
}

// Due tells the Broker that something in a queue is due at readyAt, by the database's clock,
// perhaps sooner than it knows.
func (b *Broker) Due(name string, readyAt time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if q := b.queues[name]; q != nil {
		q.add(readyAt)
		b.alarm.Ring(readyAt)
	}
}

// Resync tells the Broker that it may have missed a call of Due.
func (b *Broker) Resync() {
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
	b.Announce(name, readyAt)
}

// pass hands out what is due, and returns when to look again.
func (b *Broker) pass(ctx context.Context) (next time.Time, err error) {
	for ctx.Err() == nil {
		if err := b.look(ctx); err != nil {
			return time.Time{}, err
		}
		turns := b.ready()
		if len(turns) == 0 {
			return b.nextLook(), nil
		}
		claimed, err := b.grant(ctx, turns)
		if err != nil {
			return time.Time{}, err
		}
		if claimed == 0 && !slices.ContainsFunc(turns, func(t turn) bool { return t.isAssumed }) {
			clock.Sleep(ctx, contentionDelay)
		}
	}
	return time.Time{}, ctx.Err()
}

// look refreshes the next due time of queues of which it is unknown, and of all queues each
// PollInterval.
func (b *Broker) look(ctx context.Context) error {
	names := b.toLookAt()
	if len(names) == 0 {
		return nil
	}
	rows, err := b.queries.NextQueued(ctx, names)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		for _, name := range names {
			if q := b.queues[name]; q != nil {
				q.forget()
			}
		}
		return fmt.Errorf("read when the next runs are due: %w", err)
	}
	for _, row := range rows {
		b.clock.Observe(row.ReadAt)
		if q := b.queues[row.Queue]; q != nil {
			q.endLook(row.ReadyAt)
		}
	}
	return nil
}

// toLookAt returns the queues that look has to refresh.
func (b *Broker) toLookAt() (names []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	all := now.Sub(b.lookedAt) >= b.PollInterval
	if all {
		b.lookedAt = now
		maps.DeleteFunc(b.queues, func(_ string, q *queue) bool { return q.isUnused(now) })
	}
	for name, q := range b.queues {
		if all || !q.isKnown() {
			q.beginLook()
			names = append(names, name)
		}
	}
	return names
}

// turn is a queue of which runs are claimed, for the workers that wait for them.
type turn struct {
	queue     string
	waiting   []*waiter
	isAssumed bool
}

// ready returns the queues of which a run is due, as many as one statement serves.
func (b *Broker) ready() (turns []turn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.Now()
	left := maxSlots
	for name, q := range b.queues {
		if len(q.waiting) == 0 || q.next.After(now) {
			continue
		}
		turns = append(turns, turn{name, slices.Clone(q.waiting), q.isAssumed})
		q.forget() // what is due after that is not known
		for _, w := range q.waiting {
			left -= w.ask.MaxRuns
		}
		if left <= 0 {
			break
		}
	}
	return turns
}

// assumeDue notes that a claim has filled all that was asked for of a queue.
func (b *Broker) assumeDue(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if q := b.queues[name]; q != nil {
		q.assumeDue()
	}
}

// nextLook returns when a run is due next for a worker that waits, or all queues have to be looked
// at.
func (b *Broker) nextLook() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := never
	if len(b.queues) > 0 {
		next = b.clock.Now().Add(b.PollInterval - time.Since(b.lookedAt))
	}
	for _, q := range b.queues {
		if len(q.waiting) > 0 {
			next = clock.Earlier(next, q.next)
		}
	}
	return next
}
