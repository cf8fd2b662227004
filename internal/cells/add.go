package cells

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"

	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/internal/database"
)

// namePattern is that of the table cells.
var namePattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

// ErrName is the error for a name that no cell may have.
var ErrName = errors.New("a cell has a name of at most 40 lower-case letters, digits and underscores that begins with a letter")

// Add creates a cell, with all tables. Instances hear of it, and work for it from then on. It is
// safe to repeat, also after a failure in the middle. It returns ErrName.
func Add(ctx context.Context, databaseURL, name string, log *slog.Logger) (err error) {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("%q: %w", name, ErrName)
	}
	conn, err := database.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	q := db.New(conn)
	if err := database.CheckVersion(ctx, q); err != nil {
		return err
	}
	if first, err := q.CurrentCell(ctx); err != nil || first == name {
		return errors.Join(err, fmt.Errorf("%q is the first cell already", name))
	}
	if err := q.CreateCellSchema(ctx, name); err != nil {
		return fmt.Errorf("create the schema of the cell: %w", err)
	}
	if err := Migrate(ctx, databaseURL, name, log); err != nil {
		return err
	}
	return pgx.BeginTxFunc(ctx, conn, database.Locking, func(tx pgx.Tx) error {
		t := &Transaction{queries: db.New(tx), current: First}
		q, err := t.In(ctx, name)
		if err != nil {
			return err
		}
		if err := q.LeaveDefaultNamespace(ctx); err != nil {
			return fmt.Errorf("leave the default namespace where it is: %w", err)
		}
		if q, err = t.In(ctx, First); err != nil {
			return err
		}
		if err := q.AddCell(ctx, name); err != nil {
			return fmt.Errorf("store the cell: %w", err)
		}
		return q.NotifyAccess(ctx)
	})
}

// Migrate brings the schema of a cell besides the first one to this binary's version.
func Migrate(ctx context.Context, databaseURL, name string, log *slog.Logger) error {
	url, err := schemaURL(ctx, databaseURL, name)
	if err != nil {
		return err
	}
	return database.Migrate(ctx, url, log.With("cell", name))
}

// schemaURL returns the URL for the migrations of a cell. They also need the operators of an
// extension, which a database has in one schema only.
func schemaURL(ctx context.Context, databaseURL, name string) (url string, err error) {
	conn, err := database.Connect(ctx, databaseURL)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	extensions, err := db.New(conn).SchemaOfTrigrams(ctx)
	if err != nil {
		return "", fmt.Errorf("look for the extension pg_trgm: %w", err)
	}
	return database.InSchema(databaseURL, name, extensions)
}
