// Package app assembles the service: database, API and poller. Tests embed it as a whole.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"punctual/api"
	"punctual/gen/db"
	"punctual/internal/broker"
	"punctual/internal/calendars"
	"punctual/internal/connections"
	"punctual/internal/database"
	"punctual/internal/events"
	"punctual/internal/eventstream"
	"punctual/internal/executor"
	"punctual/internal/idempotency"
	"punctual/internal/instances"
	"punctual/internal/jobs"
	"punctual/internal/keys"
	"punctual/internal/lease"
	"punctual/internal/metrics"
	"punctual/internal/namespaces"
	"punctual/internal/notify"
	"punctual/internal/poller"
	"punctual/internal/signer"
	"punctual/internal/stats"
	"punctual/internal/tracing"
)

// App is one instance of the service. Create it with New, then call Run. What is started last is
// stopped first, except that the API answers until runs have ended:
//
//	started by New            stopped at the end of Run
//	1 built-in PostgreSQL     7 shut down
//	2 schema migrations
//	3 connection pools        6 closed
//	4 the socket              3 /readyz says no at once; closed after 2, and SHUTDOWN_DELAY
//	started by Run
//	5 listener, announcer,    4 stopped after the last request
//	  renewal of the instance
//	  and its lease, duties
//	  (the lease itself)      5 given up, and unfinished runs with it
//	6 poller                  1 stops claiming; 2 runs end, within SHUTDOWN_GRACE
//	7 broker                  3 together with the socket: waiting workers are sent away
type App struct {
	config    Config
	log       *slog.Logger
	database  *Database
	pools     pools
	socket    net.Listener
	clients   *boundedSocket // the same, with its bound
	server    *http.Server
	instance  *instances.Registry
	lease     *lease.Keeper
	poller    *poller.Poller
	broker    *broker.Broker
	keys      *keys.Verifier
	announcer *notify.Announcer
	listener  *notify.Listener
	tokens    tokens
	known     *namespaces.Cache
	// connections are those that runs call.
	connections *connections.Cache
	stream      *eventstream.Hub
	pauser      *jobs.Service // changes jobs by itself: it pauses them after failures, for example
	changed     chan struct{} // holds a value if a namespace may have changed
	paused      chan struct{} // holds a value if a pause may end earlier than is known
	started     chan struct{} // holds a value if there are runs to be made of what events start
	replaced    chan struct{} // holds a value if a calendar was replaced
	setBack     chan struct{} // holds a value if the database's clock was set back
	// clockWasSetBack is whether nobody has yet brought back the jobs since then.
	clockWasSetBack atomic.Bool
	events          *events.Teller
	blackouts       *namespaces.Blackouts
	stats           *stats.Collector
	traces          *tracing.Tracing  // nil if there are none
	observers       []events.Observer // those who count runs; New adds them before anything runs
	metrics         *metrics.Registry // nil: nothing is measured
	// metricsServer serves metrics on a port of their own. Nil: it has none.
	metricsServer *metricsServer
	stopping      chan struct{} // closed when the instance is about to stop
}

// New connects to the database, applies missing migrations, and listens. Nothing is served or
// executed before Run. If New fails, it stops what it has started.
func New(ctx context.Context, c Config, log *slog.Logger) (_ *App, err error) {
	log.InfoContext(ctx, "starting Punctual", "version", Version(), "role", cmp.Or(c.Role, RoleAll))
	c.ShutdownGrace = cmp.Or(c.ShutdownGrace, 20*time.Second)
	c.MaxConnections = cmp.Or(c.MaxConnections, defaultMaxConnections)
	if err := c.Validate(); err != nil {
		return nil, err
	}
	a := &App{
		config: c, log: log, stopping: make(chan struct{}),
		changed: make(chan struct{}, 1), paused: make(chan struct{}, 1), started: make(chan struct{}, 1),
		replaced: make(chan struct{}, 1), setBack: make(chan struct{}, 1),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()

	if a.traces, err = tracing.New(ctx, tracing.Config{Version: Version(), Instance: lease.Holder(), Logger: log}); err != nil {
		return nil, err
	}
	if a.database, err = OpenDatabase(ctx, c.Database, log); err != nil {
		return nil, err
	}
	if err := database.Migrate(ctx, a.database.Direct, log); err != nil {
		return nil, err
	}
	if a.pools, err = openPools(ctx, a.database.URL, c, a.traces.Statements()); err != nil {
		return nil, err
	}

	if err := warnOfMissingKeys(ctx, db.New(a.pools.engine), c.SecretKeys, log); err != nil {
		return nil, err
	}
	if err := warnOfNobody(ctx, db.New(a.pools.engine), c, log); err != nil {
		return nil, err
	}

	measured := a.measure()
	a.announcer = notify.NewAnnouncer(notify.AnnouncerConfig{Queries: db.New(a.pools.engine), Logger: log, Sent: measured.announced})
	a.stream = eventstream.New(eventstream.Config{Queries: db.New(a.pools.engine), Logger: log})
	a.connections = connections.NewCache(db.New(a.pools.engine), c.SecretKeys)
	tokenSigner := signer.New(db.New(a.pools.engine), c.SecretKeys)
	caller := executor.NewHTTP(executor.HTTPConfig{
		AllowCIDRs: c.OutboundAllowCIDRs, AllowPorts: c.OutboundAllowPorts, Connections: a.connections, Signer: tokenSigner,
	})
	targets := executor.ByType{"log": executor.Log{Logger: log}, "http": caller}
	contract, err := api.JobContract()
	if err != nil {
		return nil, err
	}
	if a.keys, err = keys.NewVerifier(db.New(a.pools.access)); err != nil {
		return nil, err
	}
	a.events = events.New(events.Config{Queries: database.PlanEach(a.pools.engine), Wake: a.eventsStarted, Follower: a.stream})
	a.stats = stats.NewCollector(db.New(a.pools.engine))
	a.observers = append(a.observers, a.stats.Observe)
	service := jobs.New(jobs.Config{
		Pool: a.pools.api, Logger: log, Announce: a.announcer.Announce, Events: a.events, Contract: contract, Targets: targets,
		Secrets: c.SecretKeys, RetentionDays: c.RunRetentionDays, Observe: a.observe,
	})
	a.pauser = jobs.New(jobs.Config{
		Pool: a.pools.engine, Logger: log, Announce: a.announcer.Announce, Events: a.events, RetentionDays: c.RunRetentionDays,
		Observe:       a.observe,
		EventsStarted: measured.eventsStarted,
	})
	a.blackouts = namespaces.NewBlackouts(db.New(a.pools.engine))
	a.broker = broker.New(broker.Config{
		Blackouts: a.blackouts,
		Pool:      a.pools.engine, Logger: log, Jobs: a.pauser, PollInterval: c.PollInterval, Announce: a.announcer.Announce,
		Events: a.events, LogRuns: c.LogRuns, Observe: a.observe, Meter: measured.runs, Tracer: a.traces.OfRuns(),
	})
	if a.tokens, err = newTokens(ctx, c, log); err != nil {
		return nil, err
	}
	if a.instance, err = a.newInstance(); err != nil {
		return nil, err
	}
	a.known = namespaces.NewCache(db.New(a.pools.access))
	handler, err := api.New(api.Config{
		Events:      a.stream,
		Namespaces:  namespaces.New(namespaces.Config{Pool: a.pools.api, RetentionDays: c.RunRetentionDays, Announce: a.announcer.Announce}),
		Connections: connections.New(connections.Config{Pool: a.pools.api, Secrets: c.SecretKeys, Checker: caller, Changed: a.connections.Forget}),
		Signer:      tokenSigner,
		Calendars: calendars.New(calendars.Config{
			Pool: a.pools.api, Replaced: func() { a.announcer.Announce(jobs.CalendarsChanged, time.Time{}) },
		}),
		Stats:       stats.NewReader(a.pools.api),
		Keys:        keys.New(keys.Config{Pool: a.pools.api, Changed: a.keys.Forget}),
		Known:       a.known,
		Idempotency: idempotency.New(idempotency.Config{Pool: a.pools.api, Logger: log, Instance: a.instance.ID()}),
		Pool:        a.pools.api, Logger: log, Check: a.pools.check, Queues: a.broker, Jobs: service,
		Stopping: a.stopping, HealthOnly: c.Role == RolePoller, Version: Version(),
		Authenticator: a.authenticator(), AllowedHosts: c.AllowedHosts,
		MaxInFlight: c.MaxRequestsInFlight, AuthFailuresPerMinute: c.AuthFailuresPerMinute, Pages: a.newPages,
		Metrics: measured.handler, OpenMetrics: c.Metrics == MetricsOpen, Meter: measured.requests,
		Traces: a.traces.OfRequests(),
	})
	if err != nil {
		return nil, err
	}
	a.server = newServer(handler, log)
	a.lease = lease.NewKeeper(lease.Config{Queries: db.New(a.pools.lease), Logger: log, Instance: a.instance, Renewed: measured.leaseRenewed})
	a.poller = poller.New(poller.Config{
		Blackouts: a.blackouts,
		Pool:      a.pools.engine, Lease: a.lease, Executor: targets, Jobs: a.pauser, Secrets: c.SecretKeys, Logger: log,
		PollInterval: c.PollInterval, MaxConcurrentRuns: c.MaxConcurrentRuns, Announce: a.announcer.Announce, SetBack: a.bringBack,
		Events: a.events, LogRuns: c.LogRuns, Observe: a.observe, Meter: measured.runs, Tracer: a.traces.OfRuns(),
	})

	a.listener = notify.NewListener(notify.ListenerConfig{
		Connect: func(ctx context.Context) (*pgx.Conn, error) {
			return database.Connect(ctx, a.database.Direct)
		},
		Logger: log, Due: a.due, Missed: a.unheard, Canceled: a.poller.Cancel,
		AccessChanged: a.accessChanged, Event: a.stream.Hear, Heard: measured.heard, Listening: measured.listening,
	})

	if err := a.instance.Renew(ctx); err != nil { // before it does anything
		return nil, err
	}
	address := net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))
	if a.socket, err = new(net.ListenConfig).Listen(ctx, "tcp", address); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	a.clients = bound(a.server, a.socket, c.maxConnections(ctx, openFiles(), log), log)
	a.socket = a.clients
	if err := a.listenForMetrics(ctx); err != nil {
		return nil, err
	}
	return a, nil
}

// Close undoes New. Call it if Run is not called.
func (a *App) Close() error { return a.close() }

// URL is where the service is served.
func (a *App) URL() string { return "http://" + a.socket.Addr().String() }

// Poller returns the instance's poller, for tests that make single passes.
func (a *App) Poller() *poller.Poller { return a.poller }

// Run serves and executes until ctx ends, or until it cannot go on, which is an error. Then it
// stops in order: it says that it is not ready, stops claiming, lets runs and requests finish
// within the grace, gives back what is left, and closes what New opened. Call it once.
func (a *App) Run(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var background sync.WaitGroup // until everything is drained
	drained, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	var claiming sync.WaitGroup

	background.Go(func() {
		if err := a.server.Serve(a.socket); !errors.Is(err, http.ErrServerClosed) {
			fail(fmt.Errorf("serve: %w", err))
		}
	})
	background.Go(func() { a.metricsServer.serve(drained, fail) })
	background.Go(func() {
		select {
		case <-a.database.Failed():
			fail(errors.New("the built-in PostgreSQL has ended"))
		case <-drained.Done():
		}
	})
	background.Go(func() { a.listener.Run(drained) }) // what runs is canceled, and workers are woken, till the end
	background.Go(func() { a.announcer.Run(drained) })
	background.Go(func() { a.stream.Run(drained) })
	background.Go(func() { a.instance.Run(drained) })
	for _, duty := range a.ownDuties() {
		background.Go(func() { duty.Run(drained, a.log) })
	}
	if a.config.Role != RoleAPI {
		background.Go(func() { a.lease.Run(drained) })
		for _, duty := range a.duties() {
			background.Go(func() { duty.Run(drained, a.log) })
		}
		claiming.Go(func() { a.poller.Run(ctx) })
	}
	if a.config.Role != RolePoller {
		serving, stopServing := context.WithCancel(drained)
		defer stopServing()
		// Workers are sent away only when no request is accepted any more. Otherwise they would ask
		// again at once.
		a.server.RegisterOnShutdown(stopServing)
		context.AfterFunc(serving, a.stream.Close)
		background.Go(func() { a.broker.Run(serving) })
		background.Go(func() { a.tokens.run(serving) })
		background.Go(func() { a.keys.Run(drained, a.log) })
	}
	a.log.InfoContext(ctx, "serving", "url", a.URL(), "role", a.config.Role)

	<-ctx.Done()
	a.log.InfoContext(ctx, "stopping", "grace", a.config.ShutdownGrace)
	a.drain(&claiming)
	stopBackground()
	background.Wait()
	err := a.close()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return errors.Join(cause, err)
	}
	return err
}
