package app

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/gen/db"
	"punctual/internal/database"
)

// pools are the connections of an instance that serve all cells, one pool for each use, so that no
// use can starve another. With the connection that listens for notifications, there are at most 5
// of them, and those of each cell.
type pools struct {
	// access reads keys and namespaces, to find out who makes a request. Workers are not to wait
	// for the API's connections, nor the engine for those who try keys.
	access *pgxpool.Pool
	// probe answers /readyz on a single connection. An overloaded API is no reason to say that the
	// instance is not ready: a load balancer would then take all instances away.
	probe *pgxpool.Pool
	// metrics reads metrics on a single connection. They are wanted most when others are busy.
	metrics *pgxpool.Pool
}

// cellPools are the connections of an instance that serve one cell: at most ENGINE_CONNECTIONS +
// API_CONNECTIONS + 1 of them.
type cellPools struct {
	// engine claims, completes, leases runs to workers, and does the duties.
	engine *pgxpool.Pool
	// api reads and changes what clients ask for, except for workers' runs. It has limits in time.
	api *pgxpool.Pool
	// replica reads lists and statistics, if there is a read replica: up to API_CONNECTIONS
	// connections there. Nil: there is none.
	replica *pgxpool.Pool
	// lease renews the instance's lease: a single connection that does nothing else.
	lease *pgxpool.Pool
}

const (
	// acquireWithin is how long a request waits for a connection before it is refused.
	acquireWithin = 5 * time.Second
	// statementWithin is how long a statement of a request may take.
	statementWithin = 10 * time.Second
	// accessConnections is enough for thousands of keys a second.
	accessConnections = 2
	// measureWithin is how long a statement may take that reads metrics.
	measureWithin = 2 * time.Second
)

// openPools opens the pools without connecting yet. The tracer is told of the statements of those
// that requests use.
func openPools(ctx context.Context, url string, tracer pgx.QueryTracer) (p pools, err error) {
	var errs [3]error
	p.probe, errs[0] = database.OpenLimited(ctx, url, database.Limits{
		Connections: 1, Acquire: acquireWithin, Statement: statementWithin,
	})
	p.access, errs[1] = database.OpenTraced(ctx, url, database.Limits{
		Connections: accessConnections, Acquire: acquireWithin, Statement: statementWithin,
	}, tracer)
	p.metrics, errs[2] = database.OpenLimited(ctx, url, database.Limits{
		Connections: 1, Acquire: measureWithin, Statement: measureWithin,
	})
	return p, errors.Join(errs[:]...)
}

// openCellPools is openPools for the pools of a cell.
func openCellPools(ctx context.Context, of *Database, cell string, c Config, tracer pgx.QueryTracer) (p cellPools, err error) {
	var errs [4]error
	p.engine, errs[0] = database.OpenTraced(ctx, of.URL, database.Limits{Schema: cell, Connections: c.EngineConnections}, tracer)
	ofAPI := database.Limits{
		Schema:      cell,
		Connections: c.APIConnections, Acquire: acquireWithin, Statement: cmp.Or(c.APIStatementTimeout, statementWithin),
	}
	p.api, errs[1] = database.OpenTraced(ctx, of.URL, ofAPI, tracer)
	p.lease, errs[2] = database.OpenLimited(ctx, of.URL, database.Limits{Schema: cell, Connections: 1})
	if of.Read != "" {
		ofAPI.IsReplica = true
		p.replica, errs[3] = database.OpenTraced(ctx, of.Read, ofAPI, tracer)
	}
	return p, errors.Join(errs[:]...)
}

// check returns an error unless requests can be served.
func (p pools) check(ctx context.Context) error { return database.Check(ctx, db.New(p.probe)) }

func (p pools) close() { closeAll(p.metrics, p.probe, p.access) }

func (p cellPools) close() { closeAll(p.lease, p.replica, p.api, p.engine) }

func closeAll(all ...*pgxpool.Pool) {
	for _, pool := range all {
		if pool != nil {
			pool.Close()
		}
	}
}
