package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"punctual/internal/app"
	"punctual/internal/cells"
	"punctual/internal/database"
)

type migrate struct {
	Database app.DatabaseConfig `embed:""`
	Step     string             `arg:"" enum:"up,status,down" help:"'up' applies all missing migrations, 'status' lists all migrations, 'down' undoes the last one and deletes the data in what it created. All cells are meant."`
}

// Run performs one step.
func (m *migrate) Run(ctx context.Context, log *slog.Logger) (err error) {
	db, err := app.OpenDatabase(ctx, m.Database, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if m.Step == "up" {
		if err := database.Migrate(ctx, db.Direct, log); err != nil {
			return err
		}
	}
	schemas, err := cells.Schemas(ctx, db.Direct)
	if err != nil {
		return err
	}
	if m.Step == "down" {
		return rollBack(ctx, schemas, log)
	}
	for _, schema := range schemas {
		if m.Step == "up" {
			err = database.Migrate(ctx, schema.URL, ofCell(log, schema))
		} else {
			err = printMigrations(ctx, schema)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func ofCell(log *slog.Logger, of cells.Schema) *slog.Logger {
	if of.Cell == cells.First {
		return log
	}
	return log.With("cell", of.Cell)
}

func printMigrations(ctx context.Context, of cells.Schema) error {
	list, err := database.Migrations(ctx, of.URL)
	if of.Cell != cells.First && err == nil {
		fmt.Fprintf(os.Stdout, "The cell %s:\n", of.Cell)
	}
	for _, migration := range list {
		mark := map[bool]string{true: "x", false: " "}[migration.Applied]
		fmt.Fprintf(os.Stdout, "[%s] %s\n", mark, migration.Name)
	}
	return err
}

// rollBack undoes the last migration that any cell has, in those that have it: so it is safe to
// repeat after a failure. The first cell is the last one, because it knows the others.
func rollBack(ctx context.Context, schemas []cells.Schema, log *slog.Logger) error {
	last := make([]string, len(schemas))
	for i, schema := range schemas {
		list, err := database.Migrations(ctx, schema.URL)
		if err != nil {
			return err
		}
		for _, migration := range list {
			if migration.Applied {
				last[i] = migration.Name
			}
		}
	}
	newest := slices.Max(last)
	if strings.HasSuffix(newest, "_create_cells") && len(schemas) > 1 {
		return errors.New("the last migration has made cells possible, and there are some: move their namespaces to the first one, " +
			"and delete the rows of the table cells")
	}
	for i, schema := range slices.Backward(schemas) {
		if last[i] == newest {
			if err := database.Rollback(ctx, schema.URL, ofCell(log, schema)); err != nil {
				return err
			}
		}
	}
	return nil
}
