package database

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"strings"

	"github.com/amacneil/dbmate/v2/pkg/dbmate"
	// The dialect of DATABASE_URL.
	_ "github.com/amacneil/dbmate/v2/pkg/driver/postgres"
	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/sql/migrations"
)

// Migration is one step of the schema.
type Migration struct {
	Name    string
	Applied bool
}

// Migrate brings the schema to this binary's version. Instances that start together do it one after the other, so all
// but the first find nothing to do.
func Migrate(ctx context.Context, databaseURL string, log *slog.Logger) error {
	return exclusively(ctx, databaseURL, log, (*dbmate.DB).Migrate)
}

// Rollback undoes the last migration, with all data in what that one made.
func Rollback(ctx context.Context, databaseURL string, log *slog.Logger) error {
	return exclusively(ctx, databaseURL, log, (*dbmate.DB).Rollback)
}

// Migrations lists all migrations in their order.
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

// LatestVersion is the version of the newest migration this binary brings.
func LatestVersion() string {
	names, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil || len(names) == 0 {
		panic("no migrations embedded") // the build is broken
	}
	version, _, _ := strings.Cut(names[len(names)-1], "_") // Glob sorts
	return version
}

// exclusively runs a step of dbmate, which does no locking of its own, while nobody else runs one on this database.
func exclusively(ctx context.Context, databaseURL string, log *slog.Logger, step func(*dbmate.DB) error) (err error) {
	conn, mate, err := connect(ctx, databaseURL, log)
	if err != nil {
		return err
	}
	// Ends the session, and with it the lock.
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if err := db.New(conn).LockMigrations(ctx); err != nil {
		return fmt.Errorf("lock migrations: %w", err)
	}
	if err := step(mate); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// connect opens a connection of our own, and makes a dbmate that will connect to the same database.
func connect(ctx context.Context, databaseURL string, log *slog.Logger) (*pgx.Conn, *dbmate.DB, error) {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return nil, nil, errors.New("database url: not a URL") // url.Parse would repeat it, password and all
	}
	conn, err := Connect(ctx, databaseURL)
	if err != nil {
		return nil, nil, fmt.Errorf("migrate: %w", err)
	}
	_, encrypted := conn.PgConn().Conn().(*tls.Conn)
	mate := dbmate.New(forDriver(u, encrypted))
	mate.FS = migrations.FS
	mate.MigrationsDir = []string{"."}
	mate.AutoDumpSchema = false
	mate.Log = logWriter{log}
	return conn, mate, nil
}

// forDriver makes a URL that pgx took acceptable to dbmate's driver, which knows neither the settings of pgx nor
// PostgreSQL's default, to encrypt where the server can: it is told what pgx found.
func forDriver(u *url.URL, encrypted bool) *url.URL {
	query := u.Query()
	for name := range query {
		if strings.HasPrefix(name, "pool_") || strings.HasSuffix(name, "_cache_capacity") || name == "default_query_exec_mode" {
			query.Del(name)
		}
	}
	if mode := query.Get("sslmode"); mode == "" || mode == "prefer" || mode == "allow" {
		query.Set("sslmode", map[bool]string{true: "require", false: "disable"}[encrypted])
	}
	forDriver := *u
	forDriver.RawQuery = query.Encode()
	return &forDriver
}

// logWriter turns the lines dbmate prints into log lines.
type logWriter struct{ log *slog.Logger }

func (w logWriter) Write(p []byte) (int, error) {
	if line := strings.TrimSpace(string(p)); line != "" {
		w.log.Info("migrate: " + line)
	}
	return len(p), nil
}
