package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"punctual/internal/app"
	"punctual/internal/database"
)

type migrate struct {
	Database app.DatabaseConfig `embed:""`
	Step     string             `arg:"" enum:"up,status,down" help:"'up' applies all missing migrations, 'status' lists all migrations, 'down' undoes the last one and deletes the data in what it created."`
}

// Run performs one step.
func (m *migrate) Run(ctx context.Context, log *slog.Logger) (err error) {
	db, err := app.OpenDatabase(ctx, m.Database, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	switch m.Step {
	case "up":
		return database.Migrate(ctx, db.Direct, log)
	case "down":
		return database.Rollback(ctx, db.Direct, log)
	default:
		list, err := database.Migrations(ctx, db.Direct)
		for _, migration := range list {
			mark := map[bool]string{true: "x", false: " "}[migration.Applied]
			fmt.Fprintf(os.Stdout, "[%s] %s\n", mark, migration.Name)
		}
		return err
	}
}
