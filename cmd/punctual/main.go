// Command punctual is the job scheduler service.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/joho/godotenv"

	"punctual/internal/app"
	"punctual/internal/database"
	"punctual/internal/logging"
)

type cli struct {
	LogLevel slog.Level `help:"The least level that is logged: debug, info, warn or error." default:"info" env:"LOG_LEVEL"`

	Serve   serve    `cmd:"" default:"withargs" help:"Run the service. The default."`
	Migrate migrate  `cmd:"" help:"Change or show the schema. The service does the same as 'up' when it starts."`
	Secrets rotation `cmd:"" help:"Make a key for secrets, or seal all of them with the first of SECRET_KEYS."`
}

func main() {
	app.TuneMemory()
	// A .env is optional; one that cannot be read is not to be passed over. What the environment says comes first.
	if err := godotenv.Load(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		// Its text may quote a line, and with it a password.
		fmt.Fprintln(os.Stderr, "punctual: .env cannot be read, or is not of the form NAME=value")
		os.Exit(2)
	}
	var c cli
	command := kong.Parse(&c, kong.Name("punctual"), kong.Description("A job scheduler on PostgreSQL."), kong.ShortUsageOnError())
	log := logging.New(os.Stderr, c.LogLevel)
	slog.SetDefault(log)

	command.BindTo(untilSignal(log), (*context.Context)(nil))
	command.Bind(log)
	if err := command.Run(); err != nil {
		log.Error("failed", "error", err)
		os.Exit(1)
	}
}

// echoWithin is for how long another signal may be an echo of the first: a terminal signals all that runs in it, and what runs us
// passes its own on, as npm and timeout do.
const echoWithin = time.Second

// untilSignal returns a context that ends with the first signal to stop. A second, later one ends the process at once.
func untilSignal(log *slog.Logger) context.Context {
	ctx, stop := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		stop()
		first := time.Now()
		for range signals {
			if time.Since(first) > echoWithin {
				break
			}
		}
		log.Warn("ended by a second signal")
		os.Exit(1)
	}()
	return ctx
}

type serve struct {
	app.Config `embed:""`
}

// Run runs the service until a signal.
func (s *serve) Run(ctx context.Context, log *slog.Logger) error {
	service, err := app.New(ctx, s.Config, log)
	if err != nil {
		return err
	}
	return service.Run(ctx)
}

type migrate struct {
	Database app.DatabaseConfig `embed:""`
	Step     string             `arg:"" enum:"up,status,down" help:"'up' applies what is missing, 'status' lists what there is, 'down' undoes the last one with all its data."`
}

// Run does one step.
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
			fmt.Fprintf(os.Stdout, "[%s] %s\n", map[bool]string{true: "x", false: " "}[migration.Applied], migration.Name)
		}
		return err
	}
}
