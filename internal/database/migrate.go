package database

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"strings"

	"github.com/amacneil/dbmate/v2/pkg/dbmate"
	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/sql/migrations"
)

// Migration is one step of the schema.
type Migration struct {
	Name    string
	Applied bool
}

// Migrate brings the schema to this binary's version. Instances that start together do it one after
// the other, so that all but the first find nothing to do. Each migration is one transaction.
func Migrate(ctx context.Context, databaseURL string, log *slog.Logger) error {
	return exclusively(ctx, databaseURL, log, (*dbmate.DB).Migrate)
}

// Rollback undoes the last migration, and deletes the data in what it created.
func Rollback(ctx context.Context, databaseURL string, log *slog.Logger) error {
	return exclusively(ctx, databaseURL, log, (*dbmate.DB).Rollback)
}

// Migrations lists all migrations, oldest first.
func Migrations(ctx context.Context, databaseURL string) (list []Migration, err error) {
	conn, mate, err := connect(ctx, databaseURL, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	found, err := mate.FindMigrations()
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	for _, m := range found {
		list = append(list, Migration{Name: strings.TrimSuffix(m.FileName, ".sql"), Applied: m.Applied})
	}
	return list, nil
}

// LatestVersion returns the version of this binary's newest migration.
func LatestVersion() string {
	names, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil || len(names) == 0 {
		panic("no migrations embedded") // the build is broken
	}
	version, _, _ := strings.Cut(names[len(names)-1], "_") // Glob sorts
	return version
}

// exclusively runs a step of dbmate while nobody else runs one on this database. Dbmate itself
// locks nothing.
func exclusively(ctx context.Context, databaseURL string, log *slog.Logger, step func(*dbmate.DB) error) (err error) {
	conn, mate, err := connect(ctx, databaseURL, log)
	if err != nil {
		return err
	}
	// The end of the session releases the lock.
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if err := db.New(conn).LockMigrations(ctx); err != nil {
		return fmt.Errorf("lock migrations: %w", err)
	}
	if err := step(mate); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// connect opens a connection of our own, and prepares a dbmate that connects to the same database.
func connect(ctx context.Context, databaseURL string, log *slog.Logger) (*pgx.Conn, *dbmate.DB, error) {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return nil, nil, errors.New("database url: not a URL") // the error of url.Parse contains the password
	}
	conn, err := Connect(ctx, databaseURL)
	if err != nil {
		return nil, nil, fmt.Errorf("migrate: %w", err)
	}
	registerDialect()
	mate := dbmate.New(u)
	mate.DriverName = dialectName
	mate.FS = migrations.FS
	mate.MigrationsDir = []string{"."}
	mate.AutoDumpSchema = false
	mate.Log = logWriter{log}
	return conn, mate, nil
}

// logWriter turns dbmate's output into log lines.
type logWriter struct{ log *slog.Logger }

func (w logWriter) Write(p []byte) (int, error) {
	if line := strings.TrimSpace(string(p)); line != "" {
		w.log.Info("migrate: " + line)
	}
	return len(p), nil
}
