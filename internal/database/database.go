// Package database connects to PostgreSQL and keeps its schema at this version.
package database

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/gen/db"
)

// defaultConnections is how many connections an instance opens at most, unless the url says otherwise: one claims, two store,
// one renews the lease, one does duties, and the rest serve the API, so that no request makes a run late.
const defaultConnections = 16

// Open returns a pool of connections to the database at url, without connecting yet. An error means the url is wrong;
// it does not repeat the url, which may carry a password.
func Open(ctx context.Context, url string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database url: %w", err)
	}
	if !strings.Contains(url, "pool_max_conns") {
		config.MaxConns = defaultConnections
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "punctual"
	}
	limitSilence(config.ConnConfig)
	config.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		registerUUID(conn.TypeMap())
		registerArrays(conn.TypeMap())
		return nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	return pool, nil
}

// Connect opens a single connection to the database at url.
func Connect(ctx context.Context, url string) (*pgx.Conn, error) {
	// The pool's parser, because it knows the pool's settings and takes them out.
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database url: %w", err)
	}
	limitSilence(config.ConnConfig)
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return conn, nil
}

// CheckVersion returns an error unless the database answers and has every migration this binary brings. One that has
// more, of a newer version that is being rolled out, will do: a migration may only add to what older versions use.
func CheckVersion(ctx context.Context, q *db.Queries) error {
	has, err := q.SchemaVersion(ctx)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	if wants := LatestVersion(); has < wants {
		return fmt.Errorf("the schema is at version %q, this binary needs %q", has, wants)
	}
	return nil
}
