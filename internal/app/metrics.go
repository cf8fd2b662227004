package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"

	"punctual/api"
	"punctual/internal/cells"
	"punctual/internal/metrics"
	"punctual/internal/notify"
	"punctual/internal/poller"
	"punctual/internal/runs"
)

// meters are what the parts of an instance are given to be measured by. All of it is nil if nothing
// is measured.
type meters struct {
	runs          runs.Meter
	requests      api.Meter
	handler       http.Handler
	announced     func(announcements int, err error)
	eventsStarted func(events int)
	leaseRenewed  func(err error)
	heard         func(channel string)
	listening     func(listens bool)
}

// measure begins to measure the instance, unless METRICS is off.
func (a *App) measure() {
	if a.config.Metrics == MetricsOff {
		return
	}
	c := metrics.Config{
		Cells: cells.New(a.pools.metrics), Logger: a.log, Version: Version(), Channels: notify.Channels, Pools: a.allPools,
		// What follows is made later, and asked when the instance serves.
		Followers:   func() int { return a.stream.Followers() },
		Connections: func() (int, int) { return a.clients.open() },
	}
	if a.config.Role != RoleAPI {
		c.Slots = map[string]func() (int, int){
			"all":         a.slots((*poller.Poller).Slots),
			"connections": a.slots((*poller.Poller).ConnectionSlots),
		}
	}
	a.metrics = metrics.New(c)
	a.observers = append(a.observers, a.metrics.Runs.Observe)
	of := a.metrics.Engine
	a.meters = meters{
		runs: a.metrics.Runs, requests: a.metrics.Requests, announced: of.Announced, eventsStarted: of.EventsStarted,
		leaseRenewed: of.LeaseRenewed, heard: of.Heard, listening: of.Listening,
	}
	if a.config.MetricsPort == 0 {
		a.meters.handler = a.metrics.Handler()
	}
}

// allPools returns the pools of the instance by their names, in which that of a cell stands before
// a dot, unless it is the first one.
func (a *App) allPools() map[string]metrics.Pool {
	all := map[string]metrics.Pool{"access": a.pools.access, "probe": a.pools.probe, "metrics": a.pools.metrics}
	for _, c := range a.cells.all() {
		prefix := ""
		if c.name != cells.First {
			prefix = c.name + "."
		}
		all[prefix+"engine"], all[prefix+"api"], all[prefix+"lease"] = c.pools.engine, c.pools.api, c.pools.lease
		if c.pools.replica != nil {
			all[prefix+"replica"] = c.pools.replica
		}
	}
	return all
}

// slots returns what counts slots of the pollers of all cells.
func (a *App) slots(of func(*poller.Poller) (taken, room int)) func() (taken, room int) {
	return func() (taken, room int) {
		for _, c := range a.cells.all() {
			t, r := of(c.poller)
			taken, room = taken+t, room+r
		}
		return taken, room
	}
}

// metricsServer serves metrics on a port of their own. A nil one does nothing.
type metricsServer struct {
	server *http.Server
	socket net.Listener
}

// listenForMetrics listens on METRICS_PORT, if there is one.
func (a *App) listenForMetrics(ctx context.Context) error {
	if a.metrics == nil || a.config.MetricsPort == 0 {
		return nil
	}
	address := net.JoinHostPort(a.config.Host, strconv.Itoa(int(a.config.MetricsPort)))
	socket, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen for metrics: %w", err)
	}
	handler := api.MetricsOnly(a.metrics.Handler(), isLoopback(a.config.Host), a.config.AllowedHosts, a.log)
	a.metricsServer = &metricsServer{server: newServer(handler, a.log), socket: socket}
	a.log.InfoContext(ctx, "metrics have a port of their own, where nobody needs a key", "address", address)
	return nil
}

// serve serves until ctx ends: until everything is drained, so that the end is measured, too.
func (m *metricsServer) serve(ctx context.Context, fail context.CancelCauseFunc) {
	if m == nil {
		return
	}
	defer context.AfterFunc(ctx, m.close)()
	if err := m.server.Serve(m.socket); !errors.Is(err, http.ErrServerClosed) {
		fail(fmt.Errorf("serve metrics: %w", err))
	}
}

// close closes the socket and the connections.
func (m *metricsServer) close() {
	if m != nil {
		_ = m.server.Close() // nothing is left to be done about an error
		_ = m.socket.Close()
	}
}
