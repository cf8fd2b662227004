package app

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"punctual/internal/embeddedpg"
)

// stopDatabaseWithin bounds how long a PostgreSQL of our own may take to write everything down when it stops. Past it
// nothing is lost either, but the next start takes longer.
const stopDatabaseWithin = 20 * time.Second

// Database is the database to use: the one that was named, or a server of our own.
type Database struct {
	URL    string
	Direct string             // the same, not by way of a pooler
	server *embeddedpg.Server // nil: not ours
}

// OpenDatabase starts a PostgreSQL of our own unless c names a database. Close it.
func OpenDatabase(ctx context.Context, c DatabaseConfig, log *slog.Logger) (*Database, error) {
	if c.URL != "" {
		return &Database{URL: c.URL, Direct: cmp.Or(c.DirectURL, c.URL)}, nil
	}
	server, err := embeddedpg.Start(ctx, embeddedpg.Config{
		DataDir: cmp.Or(c.DataDir, defaultDataDir()), BinDir: c.BinDir, Logger: log,
		Settings: map[string]string{"shared_buffers": sharedBuffers()},
	})
	if err != nil {
		return nil, fmt.Errorf("start a PostgreSQL of our own, as there is no DATABASE_URL: %w", err)
	}
	return &Database{URL: server.URL(), Direct: server.URL(), server: server}, nil
}

// Failed is closed when a server of our own has ended without being told to.
func (d *Database) Failed() <-chan struct{} {
	if d.server == nil {
		return nil
	}
	return d.server.Done()
}

// Close stops the server if it is ours.
func (d *Database) Close() error {
	if d.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopDatabaseWithin)
	defer cancel()
	return d.server.Stop(ctx)
}

// defaultDataDir is in the working directory, except for root: its PostgreSQL runs as somebody else, who mostly may not
// enter the directories that root works in.
func defaultDataDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/punctual"
	}
	return ".punctual"
}
