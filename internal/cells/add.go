package cells

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"

	"punctual/gen/db"
	"punctual/internal/database"
)

// namePattern is that of the table cells.
var namePattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

// ErrName is the error for a name that no cell may have.
var ErrName = errors.New("a cell has a name of at most 40 lower-case letters, digits and underscores that begins with a letter, and not with pg_")

// Add creates a cell, with all tables. Instances hear of it, and work for it from then on. It is
// safe to repeat, also after a failure in the middle. It returns ErrName.
func Add(ctx context.Context, databaseURL, name string, log *slog.Logger) (err error) {
	if !namePattern.MatchString(name) || strings.HasPrefix(name, "pg_") {
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
	if isForeign, err := q.IsForeign(ctx, name); err != nil || isForeign {
		return errors.Join(err, fmt.Errorf("there is a schema %q that has tables of something else", name))
	}
	if err := q.CreateCellSchema(ctx, name); err != nil {
		return fmt.Errorf("create the schema of the cell: %w", err)
	}
	if err := Migrate(ctx, databaseURL, name, log); err != nil {
		return err
	}
	return Transact(ctx, conn, func(tx *Transaction) error {
		q, err := tx.In(ctx, First)
		if err != nil {
			return err
		}
		added, err := q.AddCell(ctx, name)
		if err != nil {
			return fmt.Errorf("store the cell: %w", err)
		}
		if err := q.NotifyAccess(ctx); err != nil || added == 0 {
			return err
		}
		if q, err = tx.In(ctx, name); err != nil {
			return err
		}
		if err := q.LeaveDefaultNamespace(ctx); err != nil {
			return fmt.Errorf("leave the default namespace where it is: %w", err)
		}
		return nil
	})
}
