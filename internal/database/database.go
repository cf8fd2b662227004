// Package database connects to PostgreSQL and keeps its schema at this version.
package database

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/gen/db"
)

// defaultConnections is the size of a pool for which neither Limits nor the URL (pool_max_conns)
// says one.
const defaultConnections = 10

// Limits bound what a pool takes from the database, and how long its users wait. Zero means no
// limit, except for Connections.
type Limits struct {
	// Connections is the size of the pool. Default: pool_max_conns of the URL, or 10.
	Connections int
	// Acquire bounds the wait for a connection.
	Acquire time.Duration
	// Statement bounds each statement, waits for locks included. A statement that takes longer is
	// canceled in the database too.
	Statement time.Duration
	// Schema is where statements look for tables. Default: where the URL or the database says.
	Schema string
	// IsReplica is whether the URL leads to a read replica. Which servers were primaries is not
	// concluded from it.
	IsReplica bool
}

// Open returns a pool of connections to the database at url, without connecting yet. An error means
// that the url is wrong; it does not repeat the url, which may contain a password.
func Open(ctx context.Context, url string) (*pgxpool.Pool, error) {
	return OpenLimited(ctx, url, Limits{})
}

// OpenLimited is Open with limits.
func OpenLimited(ctx context.Context, url string, l Limits) (*pgxpool.Pool, error) {
	return OpenTraced(ctx, url, l, nil)
}

// OpenTraced is OpenLimited with a tracer that is told of each statement. Nil: nobody is told.
func OpenTraced(ctx context.Context, url string, l Limits, tracer pgx.QueryTracer) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database url: %w", err)
	}
	switch {
	case l.Connections > 0:
		config.MaxConns = int32(l.Connections)
	case !strings.Contains(url, "pool_max_conns"):
		config.MaxConns = defaultConnections
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "punctual"
	}
	limitSilence(config.ConnConfig)
	leaveReadOnly(config.ConnConfig)
	if !l.IsReplica {
		leaveFormerPrimaries(config.ConnConfig)
	}
	if l.Acquire > 0 || l.Statement > 0 {
		limitTime(config.ConnConfig, l)
	}
	if tracer != nil && config.ConnConfig.Tracer != nil {
		tracer = multitracer.New(tracer, config.ConnConfig.Tracer)
	}
	if tracer != nil {
		config.ConnConfig.Tracer = tracer
	}
	if l.Schema != "" {
		config.ConnConfig.RuntimeParams["search_path"] = l.Schema
	}
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		registerUUID(conn.TypeMap())
		registerArrays(conn.TypeMap())
		if l.Schema == "" {
			return nil
		}
		return checkSchema(ctx, conn, l.Schema)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	return pool, nil
}

// Connect opens a single connection to the database at url.
func Connect(ctx context.Context, url string) (*pgx.Conn, error) {
	config, err := connConfig(url)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return conn, nil
}

// connConfig returns how to connect without a pool.
func connConfig(url string) (*pgx.ConnConfig, error) {
	// The pool's parser knows the pool's settings and takes them out.
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database url: %w", err)
	}
	limitSilence(config.ConnConfig)
	leaveFormerPrimaries(config.ConnConfig)
	return config.ConnConfig, nil
}

// Check returns an error unless the service can work on the database: it answers, it has every
// migration of this binary, it accepts changes, and no lock keeps the tables from being used. The
// caller bounds the time, since a lock makes Check wait.
func Check(ctx context.Context, q *db.Queries) error {
	if err := CheckVersion(ctx, q); err != nil {
		return err
	}
	if err := q.CheckTables(ctx); err != nil {
		return fmt.Errorf("check that the tables can be changed: %w", err)
	}
	return nil
}

// ErrOldSchema says that the database has not every migration of this binary.
var ErrOldSchema = errors.New("the schema is too old")

// CheckVersion returns an error unless the database answers and has every migration of this binary.
// More migrations, from a newer version that is being rolled out, are fine: a migration may only
// add to what older versions use.
func CheckVersion(ctx context.Context, q *db.Queries) error {
	has, err := q.SchemaVersion(ctx)
	if failed, ok := errors.AsType[*pgconn.PgError](err); ok && failed.Code == pgerrcode.UndefinedTable {
		err = nil // the database has no migration at all
	}
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	if wants := LatestVersion(); has < wants {
		return fmt.Errorf("%w: it is at version %q, this binary needs %q", ErrOldSchema, has, wants)
	}
	return nil
}
