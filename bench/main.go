// Command bench measures the service: its throughput, its punctuality and its costs. It compares
// them with a peer or with an upper bound that it measures in the same run on the same server.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"punctual/internal/app"
	"punctual/internal/logging"
)

type benchmark struct {
	Database app.DatabaseConfig `embed:""`
	JSON     string             `help:"Also write the report to this file." type:"path"`
	Check    bool               `help:"Fail if a number misses its requirement."`
	Hold     string             `help:"Only hold connections to this URL until the standard input ends, as slow-clients and workers-idle need it." hidden:""`

	Serve string `help:"Only run an instance on this database until the standard input ends, as instances needs it." hidden:""`

	Config `embed:""`
}

// Run measures and prints.
func (m *benchmark) Run(ctx context.Context, log *slog.Logger) (err error) {
	if m.Hold != "" {
		return hold(ctx, m.Hold, m.IdleConnections, m.SlowConnections, m.WaitingWorkers)
	}
	if m.Serve != "" {
		return serve(ctx, m.Serve)
	}
	if m.Database.URL == "" && m.Database.DataDir == "" {
		// Not the directory of the service, and not /tmp: that may be in memory, where syncing is
		// free.
		if m.Database.DataDir, err = os.MkdirTemp("/var/tmp", "punctual-bench-"); err != nil {
			return fmt.Errorf("create a directory for the built-in PostgreSQL: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(m.Database.DataDir)) }()
	}
	m.Database.Embedded = true
	db, err := app.OpenDatabase(ctx, m.Database, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	report, err := measure(ctx, m.Config, db.URL, log)
	if err != nil {
		return err
	}
	if err := report.Write(os.Stdout); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	if m.JSON != "" {
		text, err := json.MarshalIndent(report, "", "  ")
		if err != nil {
			return fmt.Errorf("encode the report: %w", err)
		}
		if err := os.WriteFile(m.JSON, append(text, '\n'), 0o600); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	if failed := report.Failed(); m.Check && len(failed) > 0 {
		return fmt.Errorf("%d of %d numbers miss their requirement", len(failed), len(report.Checks))
	}
	return nil
}

func main() {
	app.TuneMemory()
	var c struct {
		benchmark `embed:""`
		LogLevel  slog.Level `help:"The lowest level to log: debug, info, warn or error." default:"info" env:"LOG_LEVEL"`
	}
	kong.Parse(&c, kong.Name("bench"), kong.Description("Measures Punctual in databases of its own. Without DATABASE_URL it starts a PostgreSQL."), kong.ShortUsageOnError())
	log := logging.New(os.Stderr, c.LogLevel)
	slog.SetDefault(log)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := c.Run(ctx, log); err != nil {
		log.Error("failed", "error", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}
