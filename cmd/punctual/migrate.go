package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"

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
	slices.Reverse(schemas) // the first cell is the last to be undone: it knows the others
	for _, schema := range schemas {
		if err := m.perform(ctx, schema, log); err != nil {
			return err
		}
	}
	return nil
}

// perform performs the step for a cell.
func (m *migrate) perform(ctx context.Context, of cells.Schema, log *slog.Logger) error {
	if of.Cell != cells.First {
		log = log.With("cell", of.Cell)
	}
	switch m.Step {
	case "up":
		return database.Migrate(ctx, of.URL, log)
	case "down":
		return database.Rollback(ctx, of.URL, log)
	default:
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
}
