package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"punctual/internal/embeddedpg"
)

// stopDatabaseWithin bounds how long the built-in PostgreSQL may take to write everything to disk
// when it stops. Beyond it nothing is lost, but the next start takes longer.
const stopDatabaseWithin = 20 * time.Second

// ErrNoDatabase is returned if the configuration names no database.
var ErrNoDatabase = errors.New("there is no database: set DATABASE_URL to a PostgreSQL database, " +
	"or pass --embedded (EMBEDDED=true) to start the built-in PostgreSQL")

// Database is the database in use: the one that the configuration names, or the built-in server.
type Database struct {
	URL    string
	Direct string             // the same database without a pooler in between
	Read   string             // a read replica, or nothing
	server *embeddedpg.Server // nil unless the built-in server is used
}

// OpenDatabase starts the built-in PostgreSQL if c asks for it and names no database. It returns
// ErrNoDatabase if c does neither. The caller has to close the Database.
func OpenDatabase(ctx context.Context, c DatabaseConfig, log *slog.Logger) (*Database, error) {
	if c.URL != "" {
		return &Database{URL: c.URL, Direct: cmp.Or(c.DirectURL, c.URL), Read: c.ReadURL}, nil
	}
	if !c.Embedded {
		return nil, ErrNoDatabase
	}
	server, err := embeddedpg.Start(ctx, embeddedpg.Config{
		DataDir: cmp.Or(c.DataDir, defaultDataDir()), BinDir: c.BinDir, Logger: log,
		Settings: map[string]string{"shared_buffers": sharedBuffers()},
	})
	if err != nil {
		return nil, fmt.Errorf("start the built-in PostgreSQL: %w", err)
	}
	return &Database{URL: server.URL(), Direct: server.URL(), server: server}, nil
}

// Failed returns a channel that is closed when the built-in server has ended unexpectedly, or nil
// if it is not used.
func (d *Database) Failed() <-chan struct{} {
	if d.server == nil {
		return nil
	}
	return d.server.Done()
}

// Close stops the built-in server if it runs.
func (d *Database) Close() error {
	if d.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopDatabaseWithin)
	defer cancel()
	return d.server.Stop(ctx)
}

// defaultDataDir is in the working directory, except for root: PostgreSQL does not run as root, and
// the user that it runs as usually may not enter root's directories.
func defaultDataDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/punctual"
	}
	return ".punctual"
}
