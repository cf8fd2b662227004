// Package poller turns due rows into runs: it claims them, executes them, and completes them.
//
// Any number of pollers, in any number of processes, share one database. They do not know each
// other: what one has claimed the others skip, and package maintenance frees what a dead one held.
package poller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/batches"
	"punctual/internal/clock"
	"punctual/internal/events"
	"punctual/internal/executor"
	"punctual/internal/lease"
	"punctual/internal/logging"
	"punctual/internal/runs"
	"punctual/internal/secrets"
)

// Config is what a Poller needs. Zero means default.
type Config struct {
	Pool     *pgxpool.Pool
	Lease    *lease.Keeper
	Executor executor.Executor
	// Jobs changes a job when one of its runs ends in a way that requires it.
	Jobs runs.Jobs
	// Secrets opens the secrets of targets.
	Secrets secrets.Keyring
	Logger  *slog.Logger
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
	// Announce is told when the end of a run makes something due that others may wait for: the
	// workers of a queue, or, when Run has returned, other instances, whose queue is the empty one.
	// It must not block. Default: others find it by polling.
	Announce func(queue string, readyAt time.Time)
	// PollInterval is the longest it sleeps without reading the database, and so bounds the
	// lateness of what it was not told of. Shorter costs queries. Default 5 s.
	PollInterval time.Duration
	// SetBack is called when the database's clock was set back by a minute or more. Default: nobody
	// is told.
	SetBack func()
	// BatchSize is the most that one claim takes, and the most that one completion stores. Larger
	// batches cost less for each run and make each run wait longer for its neighbors. Default 500.
	BatchSize int
	// MaxConcurrentRuns bounds what this instance executes at a time. It claims no more than can
	// start at once. Default 2000: four batches, so that some are claimed and some stored while
	// others execute. The runs of connections are at most half of it, so that receivers that hang
	// leave room for everything else.
	MaxConcurrentRuns int
}

const (
	// claimAhead is how far ahead of its instant a run is claimed at most. A claimed run waits in
	// memory for its instant, so that neither a query nor a commit lies between the two, and one
	// claim serves everything that is due within this time. A pause, edit or delete does not reach
	// a claimed run, so this is also how long such a change may take to have effect.
	claimAhead = 400 * time.Millisecond
	// claimLead is how far ahead of its instant a run is claimed at least, if it is known in time:
	// how long a claim may take without making a run late.
	claimLead = 100 * time.Millisecond
	// linger is how long an ended run waits for others to be stored with it. It delays no run.
	linger = 50 * time.Millisecond
	// lostFor is for how long to look for runs of a claim whose answer was lost: the server may
	// still be busy with it.
	lostFor = 30 * time.Second
	// lostCheck is the time between two such looks.
	lostCheck = time.Second
	// retryDelay is how long to wait when the database has failed.
	retryDelay = 200 * time.Millisecond
)

// Poller claims, executes and completes runs. Make it with New.
type Poller struct {
	Config
	queries *db.Queries
	runs    runs.Store
	clock   clock.Clock
	// slots holds one token for each run that is claimed and not yet released. A full channel stops
	// claiming, so that runs that cannot be stored do not pile up.
	slots chan struct{}
	// work ends when execution has to stop.
	work      context.Context
	interrupt context.CancelCauseFunc
	inFlight  sync.WaitGroup

	alarm     *clock.Alarm
	watermark watermark
	results   *batches.Collector[*run]
	claims    claims
	cancels   cancels
	limited   *limited
	// lostUntil is until when a claim whose answer was lost may still be committed, in nanoseconds
	// since 1970.
	lostUntil atomic.Int64
	// stopped is whether Run has returned: others are to claim what is due.
	stopped atomic.Bool

	// Only the claiming goroutine uses the field below.

	// horizon is the instant until which the latest claim looked ahead, at least.
	horizon time.Time
}

// New returns a Poller that does nothing yet.
func New(c Config) *Poller {
	c.Logger = cmp.Or(c.Logger, slog.Default())
	c.PollInterval = cmp.Or(c.PollInterval, 5*time.Second)
	c.BatchSize = cmp.Or(c.BatchSize, 500)
	c.MaxConcurrentRuns = cmp.Or(c.MaxConcurrentRuns, 2000)
	p := &Poller{
		Config: c, queries: db.New(c.Pool), slots: make(chan struct{}, c.MaxConcurrentRuns),
		alarm: clock.NewAlarm(), results: batches.New[*run](c.BatchSize, linger), limited: newLimited(c.MaxConcurrentRuns),
	}
	if p.Announce == nil {
		p.Announce = func(string, time.Time) {}
	}
	p.runs = runs.Store{
		Pool: c.Pool, Queries: p.queries, Logger: p.Logger, Jobs: p.Jobs, Events: c.Events, Due: p.due, Blackouts: c.Blackouts,
		Observe: c.Observe, Meter: c.Meter, Tracer: c.Tracer, Now: p.clock.Now, LogRuns: p.LogRuns,
	}
	p.clock.SetBack = func(by time.Duration) {
		p.Logger.Warn("the database's clock was set back", "by", by)
		if p.SetBack != nil {
			p.SetBack()
		}
	}
	p.work, p.interrupt = context.WithCancelCause(context.Background())
	return p
}

// Run claims and starts what is due until ctx ends. It does not wait for what it started: Drain
// does. A pass that fails is logged and tried again, because a database that is away comes back.
func (p *Poller) Run(ctx context.Context) {
	var background sync.WaitGroup
	defer background.Wait()
	background.Go(func() { p.endCanceled(ctx) })
	background.Go(func() { p.keepLookingBack(ctx) })
	background.Go(func() { p.serveLimited(ctx) })
	defer func() {
		p.stopped.Store(true)
		p.Announce("", time.Time{}) // what only this instance knew of
	}()
	outage := logging.Outage{
		Logger: p.Logger, Failing: "could not claim runs; no run starts here until this succeeds", Working: "runs are claimed again",
	}
	for ctx.Err() == nil {
		p.alarm.Clear() // before the claim: what becomes due while it runs may be too late for it
		claimed, more, err := p.claimAndStart(ctx, func() {})
		if claimed > 0 {
			p.Logger.DebugContext(ctx, "claimed", "runs", claimed)
		}
		if more {
			continue
		}
		if err == nil {
			err = p.waitForNext(ctx)
		}
		switch {
		case ctx.Err() != nil:
		case err != nil:
			outage.Failed(ctx, err)
			clock.Sleep(ctx, retryDelay) // not longer: whatever is due is late until this succeeds
		default:
			outage.Worked(ctx)
		}
	}
}

// Due tells Run that something in the database is due at readyAt, by the database's clock, perhaps
// sooner than it knows. The zero instant makes it look at once.
func (p *Poller) Due(readyAt time.Time) {
	p.watermark.lower(readyAt)
	p.alarm.Ring(readyAt.Add(-claimLead))
}

// Missed tells Run that something in the database may be due of which it was not told.
func (p *Poller) Missed() {
	p.Due(time.Time{})
	p.limited.missed()
}

// Reconnected tells Run that the database may be as it was some time ago: a standby that lacked the
// last moments has been promoted, or a backup was restored. This instance may then hold runs there
// that it has ended already. It frees them, as those of a claim whose answer was lost.
func (p *Poller) Reconnected() {
	p.lost()
	p.Missed()
}

// due is told what this instance's own runs make due.
func (p *Poller) due(queue *string, readyAt time.Time) {
	if queue != nil {
		if access.IsLimited(*queue) && !p.stopped.Load() {
			p.DueLimited(*queue, readyAt)
			return
		}
		p.Announce(*queue, readyAt)
		return
	}
	if p.stopped.Load() {
		p.Announce("", readyAt)
		return
	}
	p.Due(readyAt)
}

// Pass claims one batch of what is due, executes it, and returns how many runs it was when all of
// them are stored. Do not call it while Run runs.
func (p *Poller) Pass(ctx context.Context) (int, error) {
	most := 3 * p.BatchSize
	var batch sync.WaitGroup
	batch.Add(most)
	if err := p.placeAll(ctx); err != nil {
		return 0, err
	}
	claimed, _, err := p.claimAndStart(ctx, batch.Done)
	if err == nil {
		var limited int
		limited, err = p.claimLimited(ctx, p.limited.queues(access.IsConnection), batch.Done)
		claimed += limited
	}
	batch.Add(claimed - most)
	batch.Wait()
	return claimed, err
}

// Executing returns how many runs this instance holds.
func (p *Poller) Executing() int { return p.claims.runs() }

// Slots returns for how many runs there is room, and how much of it is taken.
func (p *Poller) Slots() (taken, room int) { return len(p.slots), cap(p.slots) }

// ConnectionSlots is Slots for runs of connections, which are among them.
func (p *Poller) ConnectionSlots() (taken, room int) {
	return len(p.limited.slots), cap(p.limited.slots)
}

// measureClaim measures a claim that began at begun.
func (p *Poller) measureClaim(kind runs.ClaimKind, n int, begun time.Time, err error) {
	if p.Meter != nil {
		p.Meter.Claimed(kind, n, time.Since(begun), err)
	}
}

// errStopped is why work is interrupted when Drain has waited long enough.
var errStopped = errors.New("the instance stopped")

// Drain waits until everything that was started is stored. Runs may still be canceled meanwhile.
// Call it when Run has returned. When ctx ends first, it interrupts what still executes; those runs
// are not completed, and whoever claims them next makes another attempt.
func (p *Poller) Drain(ctx context.Context) error {
	var background sync.WaitGroup
	defer background.Wait()
	looking, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	background.Go(func() { p.endCanceled(looking) })
	drained := make(chan struct{})
	go func() {
		p.inFlight.Wait()
		close(drained)
	}()
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
	}
	p.interrupt(errStopped)
	<-drained
	return fmt.Errorf("drain: %w", context.Cause(ctx))
}
