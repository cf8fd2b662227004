package cells

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"

	"punctual/gen/db"
	"punctual/internal/database"
)

// Migrate brings the schema of a cell besides the first one to this binary's version.
func Migrate(ctx context.Context, databaseURL, name string, log *slog.Logger) (err error) {
	conn, err := database.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	url, err := schemaURL(ctx, db.New(conn), databaseURL, name)
	if err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))); err != nil {
		return err
	}
	return database.Migrate(ctx, url, log.With("cell", name))
}

// schemaURL returns the URL for the migrations of a cell. They also need the operators of an
// extension, which a database has in one schema only.
func schemaURL(ctx context.Context, q *db.Queries, databaseURL, name string) (string, error) {
	// Otherwise the migrations would be those of the next schema in the path.
	isThere, err := q.IsSchema(ctx, name)
	if err != nil || !isThere {
		return "", errors.Join(err, fmt.Errorf("the database has no schema %q, which a cell has", name))
	}
	extensions, err := q.SchemaOfTrigrams(ctx)
	if err != nil {
		return "", fmt.Errorf("look for the extension pg_trgm: %w", err)
	}
	return database.InSchemas(databaseURL, name, extensions)
}

// Schema is that of a cell.
type Schema struct {
	// Cell is First, or the name.
	Cell string
	// URL is for the migrations, and for sessions that use the cell.
	URL string
}

// Schemas returns those of all cells, the first one before the others. A database without tables
// has the first one only.
func Schemas(ctx context.Context, databaseURL string) (all []Schema, err error) {
	all = []Schema{{First, databaseURL}}
	conn, err := database.Connect(ctx, databaseURL)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	q := db.New(conn)
	names, err := q.ListCells(ctx)
	if failed, ok := errors.AsType[*pgconn.PgError](err); ok && failed.Code == pgerrcode.UndefinedTable {
		return all, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the cells: %w", err)
	}
	for _, name := range names {
		url, err := schemaURL(ctx, q, databaseURL, name)
		if err != nil {
			return nil, err
		}
		all = append(all, Schema{name, url})
	}
	return all, nil
}
