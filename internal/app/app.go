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
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"punctual/api"
	"punctual/gen/db"
	"punctual/internal/cells"
	"punctual/internal/database"
	"punctual/internal/events"
	"punctual/internal/eventstream"
	"punctual/internal/jobs"
	"punctual/internal/keys"
	"punctual/internal/lease"
	"punctual/internal/maintenance"
	"punctual/internal/metrics"
	"punctual/internal/namespaces"
	"punctual/internal/notify"
	"punctual/internal/poller"
	"punctual/internal/signer"
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
//	started by Run, the rest for each cell (internal/cells)
//	5 listener, announcer,    4 stopped after the last request
//	  renewal of the instance
//	  and its lease, duties
//	  (the lease itself)      5 given up, and unfinished runs with it
//	6 poller                  1 stops claiming; 2 runs end, within SHUTDOWN_GRACE
//	7 broker                  3 together with the socket: waiting workers are sent away
type App struct {
	config   Config
	log      *slog.Logger
	id       uuid.UUID
	database *Database
	pools    pools
	// firstPools are those of the first cell, which also serve what belongs to no cell.
	firstPools  cellPools
	directory   *cells.Directory
	cells       openCells
	socket      net.Listener
	clients     *boundedSocket // the same, with its bound
	server      *http.Server
	keys        *keys.Verifier
	hasListened atomic.Bool
	listener    *notify.Listener
	tokens      tokens
	known       *namespaces.Cache
	stream      *eventstream.Hub
	signer      *signer.Signer
	contract    jobs.Contract
	// cellsChanged holds a value if there may be another cell.
	cellsChanged chan struct{}
	traces       *tracing.Tracing  // nil if there are none
	observers    []events.Observer // those who count runs of all cells; New adds them before anything runs
	metrics      *metrics.Registry // nil: nothing is measured
	meters       meters
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
	a := &App{config: c, log: log, stopping: make(chan struct{}), cellsChanged: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()

	if a.id, err = uuid.NewV7(); err != nil {
		return nil, fmt.Errorf("make the id of the instance: %w", err)
	}
	if a.contract, err = api.JobContract(); err != nil {
		return nil, err
	}
	if a.traces, err = tracing.New(ctx, tracing.Config{Version: Version(), Instance: lease.Holder(), Logger: log}); err != nil {
		return nil, err
	}
	if a.database, err = OpenDatabase(ctx, c.Database, log); err != nil {
		return nil, err
	}
	if err := database.Migrate(ctx, a.database.Direct, log); err != nil {
		return nil, err
	}
	if a.pools, err = openPools(ctx, a.database.URL, a.traces.Statements()); err != nil {
		return nil, err
	}
	if a.firstPools, err = openCellPools(ctx, a.database, cells.First, c, a.traces.Statements()); err != nil {
		return nil, err
	}
	if err := warnOfNobody(ctx, db.New(a.pools.access), c, log); err != nil {
		return nil, err
	}
	a.directory = cells.New(a.pools.access)
	a.known = namespaces.NewCache(a.directory)
	a.signer = signer.New(db.New(a.firstPools.engine), c.SecretKeys)
	a.stream = eventstream.New(eventstream.Config{Queries: db.New(a.firstPools.engine), Logger: log})
	if a.keys, err = keys.NewVerifier(db.New(a.pools.access)); err != nil {
		return nil, err
	}
	if a.tokens, err = newTokens(ctx, c, log); err != nil {
		return nil, err
	}
	a.measure()
	if _, err := a.openNew(ctx); a.cells.named(cells.First) == nil {
		return nil, err
	} else if err != nil {
		log.ErrorContext(ctx, "could not open each cell; it is tried again", "error", err)
	}
	if err := a.newServer(); err != nil {
		return nil, err
	}
	a.listener = notify.NewListener(notify.ListenerConfig{
		Connect: func(ctx context.Context) (*pgx.Conn, error) {
			return database.Connect(ctx, a.database.Direct)
		},
		Logger: log, Due: a.due, Missed: a.unheard, Canceled: a.canceled,
		AccessChanged: a.accessChanged, Event: a.stream.Hear, Heard: a.meters.heard, Listening: a.meters.listening,
	})

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

// newServer makes what serves requests.
func (a *App) newServer() error {
	c, first := &a.config, a.cells.named(cells.First)
	handler, err := api.New(api.Config{
		Cell: first.served, Others: a.cells.served, Events: a.stream, Signer: a.signer, Known: a.known,
		Namespaces: namespaces.New(namespaces.Config{
			Pool: first.pools.api, Cells: a.directory, RetentionDays: c.RunRetentionDays,
			Announce: func(name, queue string, readyAt time.Time) {
				if of := a.cells.named(name); of != nil {
					of.announcer.Announce(queue, readyAt)
				}
			},
		}),
		Keys:   keys.New(keys.Config{Pool: first.pools.api, Cells: a.directory, Changed: a.keys.Forget}),
		Logger: a.log, Check: a.pools.check, Stopping: a.stopping, HealthOnly: c.Role == RolePoller, Version: Version(),
		Authenticator: a.authenticator(), AllowedHosts: c.AllowedHosts,
		MaxInFlight: c.MaxRequestsInFlight, AuthFailuresPerMinute: c.AuthFailuresPerMinute, Pages: a.newPages,
		Metrics: a.meters.handler, OpenMetrics: c.Metrics == MetricsOpen, Meter: a.meters.requests,
		Traces: a.traces.OfRequests(),
	})
	if err != nil {
		return err
	}
	a.server = newServer(handler, a.log)
	return nil
}

// Close undoes New. Call it if Run is not called.
func (a *App) Close() error { return a.close() }

// URL is where the service is served.
func (a *App) URL() string { return "http://" + a.socket.Addr().String() }

// Poller returns the instance's poller of the first cell, for tests that make single passes.
func (a *App) Poller() *poller.Poller { return a.cells.named(cells.First).poller }

// Run serves and executes until ctx ends, or until it cannot go on, which is an error. Then it
// stops in order: it says that it is not ready, stops claiming, lets runs and requests finish
// within the grace, gives back what is left, and closes what New opened. Call it once.
func (a *App) Run(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	drained, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	serving, stopServing := context.WithCancel(drained)
	defer stopServing()
	t := &times{claiming: ctx, serving: serving, drained: drained}

	t.background.Go(func() {
		if err := a.server.Serve(a.socket); !errors.Is(err, http.ErrServerClosed) {
			fail(fmt.Errorf("serve: %w", err))
		}
	})
	t.background.Go(func() { a.metricsServer.serve(drained, fail) })
	t.background.Go(func() {
		select {
		case <-a.database.Failed():
			fail(errors.New("the built-in PostgreSQL has ended"))
		case <-drained.Done():
		}
	})
	t.background.Go(func() { a.listener.Run(drained) }) // what runs is canceled, and workers are woken, till the end
	t.background.Go(func() { a.stream.Run(drained) })
	if a.config.Role != RolePoller {
		// Workers are sent away only when no request is accepted any more. Otherwise they would ask
		// again at once.
		a.server.RegisterOnShutdown(stopServing)
		context.AfterFunc(serving, a.stream.Close)
		t.background.Go(func() { a.tokens.run(serving) })
		t.background.Go(func() { a.keys.Run(drained, a.log) })
	}
	for _, c := range a.cells.all() {
		c.start(t)
	}
	for _, duty := range a.measured([]maintenance.Duty{maintenance.Cells(a.openAdded(t), a.cellsChanged)}) {
		t.claimers.Go(func() { duty.Run(ctx, a.log) })
	}
	a.log.InfoContext(ctx, "serving", "url", a.URL(), "role", a.config.Role)

	<-ctx.Done()
	a.log.InfoContext(ctx, "stopping", "grace", a.config.ShutdownGrace)
	a.drain(&t.claimers)
	stopBackground()
	t.background.Wait()
	err := a.close()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return errors.Join(cause, err)
	}
	return err
}
