package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/api"
	"punctual/gen/db"
	"punctual/internal/broker"
	"punctual/internal/calendars"
	"punctual/internal/cells"
	"punctual/internal/connections"
	"punctual/internal/database"
	"punctual/internal/events"
	"punctual/internal/executor"
	"punctual/internal/idempotency"
	"punctual/internal/instances"
	"punctual/internal/jobs"
	"punctual/internal/lease"
	"punctual/internal/namespaces"
	"punctual/internal/notify"
	"punctual/internal/poller"
	"punctual/internal/stats"
)

// cell is what an instance does for one cell (internal/cells): it claims and executes the runs of
// its namespaces, hands them to workers, does the duties there, and serves what requests ask for.
type cell struct {
	name      string
	app       *App
	config    Config
	log       *slog.Logger
	pools     cellPools
	replica   *replica
	instance  *instances.Registry
	lease     *lease.Keeper
	poller    *poller.Poller
	broker    *broker.Broker
	announcer *notify.Announcer
	// connections are those that runs call.
	connections *connections.Cache
	pauser      *jobs.Service // changes jobs by itself: it pauses them after failures, for example
	events      *events.Teller
	blackouts   *namespaces.Blackouts
	stats       *stats.Collector
	served      api.Cell
	changed     chan struct{} // holds a value if a namespace may have changed
	paused      chan struct{} // holds a value if a pause may end earlier than is known
	started     chan struct{} // holds a value if there are runs to be made of what events start
	replaced    chan struct{} // holds a value if a calendar was replaced
	setBack     chan struct{} // holds a value if the database's clock was set back
	// clockWasSetBack is whether nobody has yet brought back the jobs since then.
	clockWasSetBack atomic.Bool
}

// openCell prepares what the instance does for a cell. If it fails, it closes what it has opened.
func (a *App) openCell(ctx context.Context, name string) (_ *cell, err error) {
	c := &cell{
		name: name, app: a, config: a.config, log: a.log, changed: make(chan struct{}, 1), paused: make(chan struct{}, 1),
		started: make(chan struct{}, 1), replaced: make(chan struct{}, 1), setBack: make(chan struct{}, 1),
	}
	if name != cells.First {
		c.log = a.log.With("cell", name)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	if c.pools = a.firstPools; name != cells.First {
		if c.pools, err = openCellPools(ctx, a.database, name, a.config, a.traces.Statements()); err != nil {
			return nil, err
		}
	}
	if c.pools.replica != nil {
		if c.replica, err = openReplica(ctx, a.database.Read, name); err != nil {
			return nil, err
		}
	}
	if err := warnOfMissingKeys(ctx, db.New(c.pools.engine), a.config.SecretKeys, c.log); err != nil {
		return nil, err
	}
	c.announcer = notify.NewAnnouncer(notify.AnnouncerConfig{
		Queries: db.New(c.pools.engine), Cell: name, Logger: c.log, Sent: a.meters.announced,
	})
	c.connections = connections.NewCache(db.New(c.pools.engine), a.config.SecretKeys)
	c.events = events.New(events.Config{Queries: database.PlanEach(c.pools.engine), Wake: c.eventsStarted, Follower: a.stream})
	c.stats = stats.NewCollector(db.New(c.pools.engine))
	c.blackouts = namespaces.NewBlackouts(db.New(c.pools.engine))
	c.pauser = jobs.New(jobs.Config{
		Pool: c.pools.engine, Logger: c.log, Announce: c.announcer.Announce, Events: c.events, RetentionDays: a.config.RunRetentionDays,
		Observe: c.observe, EventsStarted: a.meters.eventsStarted,
	})
	c.broker = broker.New(broker.Config{
		Blackouts: c.blackouts, Pool: c.pools.engine, Logger: c.log, Jobs: c.pauser, PollInterval: a.config.PollInterval,
		Announce: c.announcer.Announce, Events: c.events, LogRuns: a.config.LogRuns, Observe: c.observe, Meter: a.meters.runs,
		Tracer: a.traces.OfRuns(),
	})
	if c.instance, err = c.newInstance(); err != nil {
		return nil, err
	}
	c.lease = lease.NewKeeper(lease.Config{Queries: db.New(c.pools.lease), Logger: c.log, Instance: c.instance, Renewed: a.meters.leaseRenewed})
	c.serve()
	if err := c.instance.Renew(ctx); err != nil { // before it does anything
		return nil, err
	}
	return c, nil
}

// serve makes what executes the runs of the cell, and what requests ask for.
func (c *cell) serve() {
	a := c.app
	caller := executor.NewHTTP(executor.HTTPConfig{
		AllowCIDRs: c.config.OutboundAllowCIDRs, AllowPorts: c.config.OutboundAllowPorts, Connections: c.connections, Signer: a.signer,
	})
	targets := executor.ByType{"log": executor.Log{Logger: c.log}, "http": caller}
	c.poller = poller.New(poller.Config{
		Blackouts: c.blackouts, Pool: c.pools.engine, Lease: c.lease, Executor: targets, Jobs: c.pauser, Secrets: c.config.SecretKeys,
		Logger: c.log, PollInterval: c.config.PollInterval, MaxConcurrentRuns: c.config.MaxConcurrentRuns,
		Announce: c.announcer.Announce, SetBack: c.bringBack, Events: c.events, LogRuns: c.config.LogRuns, Observe: c.observe,
		Meter: a.meters.runs, Tracer: a.traces.OfRuns(),
	})
	c.served = c.servedFrom(c.pools.api, targets, caller)
	if c.pools.replica != nil {
		c.served.Replica = &api.Replica{Cell: c.servedFrom(c.pools.replica, targets, caller), Lag: c.replica.lag}
	}
}

// servedFrom returns what serves requests by the connections of a pool.
func (c *cell) servedFrom(pool *pgxpool.Pool, targets executor.ByType, caller *executor.HTTP) api.Cell {
	return api.Cell{
		Pool: pool, Queues: c.broker,
		Jobs: jobs.New(jobs.Config{
			Pool: pool, Logger: c.log, Announce: c.announcer.Announce, Events: c.events, Contract: c.app.contract, Targets: targets,
			Secrets: c.config.SecretKeys, RetentionDays: c.config.RunRetentionDays, Observe: c.observe,
		}),
		Connections: connections.New(connections.Config{
			Pool: pool, Secrets: c.config.SecretKeys, Checker: caller, Changed: c.connections.Forget,
		}),
		Calendars: calendars.New(calendars.Config{
			Pool: pool, Replaced: func() { c.announcer.Announce(jobs.CalendarsChanged, time.Time{}) },
		}),
		Stats:       stats.NewReader(pool),
		Idempotency: idempotency.New(idempotency.Config{Pool: pool, Logger: c.log, Instance: c.instance.ID}),
	}
}

// observe passes a run that has ended on to those who count runs.
func (c *cell) observe(job *db.Job, target string, run events.Run) {
	c.stats.Observe(job, target, run)
	for _, count := range c.app.observers {
		count(job, target, run)
	}
}

// times are the contexts of what an instance does, and what waits for its end.
type times struct {
	// claiming ends first: nothing more is claimed.
	claiming context.Context //nolint:containedctx // they are those of a run of the App
	claimers sync.WaitGroup
	// serving ends with the last request.
	serving context.Context //nolint:containedctx // likewise
	// drained ends when everything has been drained.
	drained    context.Context //nolint:containedctx // likewise
	background sync.WaitGroup
}

// start begins what the instance does for the cell.
func (c *cell) start(t *times) {
	t.background.Go(func() { c.announcer.Run(t.drained) })
	t.background.Go(func() { c.instance.Run(t.drained) })
	t.background.Go(func() { c.replica.run(t.drained) })
	for _, duty := range c.ownDuties() {
		t.background.Go(func() { duty.Run(t.drained, c.log) })
	}
	if c.config.Role != RoleAPI {
		t.background.Go(func() { c.lease.Run(t.drained) })
		for _, duty := range c.duties() {
			t.background.Go(func() { duty.Run(t.drained, c.log) })
		}
		t.claimers.Go(func() { c.poller.Run(t.claiming) })
	}
	if c.config.Role != RolePoller {
		t.background.Go(func() { c.broker.Run(t.serving) })
	}
}

// close gives back what the instance holds in the cell. It also works after an openCell that failed
// half-way.
func (c *cell) close() error {
	var errs []error
	within := func(do func(context.Context) error) {
		ctx, cancel := context.WithTimeout(context.Background(), releaseWithin)
		defer cancel()
		errs = append(errs, do(ctx))
	}
	if c.stats != nil {
		within(c.stats.Flush)
	}
	if c.lease != nil {
		within(c.giveBack)
	}
	if c.instance != nil {
		within(c.instance.Release)
	}
	c.replica.close()
	c.pools.close()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("leave a cell: %w", err)
	}
	return nil
}

// giveBack frees the runs that were claimed and not completed, so that other instances can claim
// them at once, and notifies these.
func (c *cell) giveBack(ctx context.Context) error {
	held, err := c.lease.Release(ctx)
	if err != nil || !held {
		return err
	}
	q := db.New(c.pools.engine)
	row, err := q.FreeAbandoned(ctx)
	if err != nil || row.Freed == 0 {
		return err
	}
	// It is due long since.
	return q.NotifyDue(ctx, db.NotifyDueParams{Queues: []string{""}, UnixMicros: []int64{0}, Suffix: notify.Suffix(c.name)})
}
