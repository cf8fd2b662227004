package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"

	"punctual/internal/embeddedpg"
)

// settings are those of every server that we start: nothing in it has to survive a crash, and test packages run in
// parallel, each with pools of its own.
var settings = map[string]string{
	"fsync":              "off",
	"synchronous_commit": "off",
	"full_page_writes":   "off",
	"max_connections":    "300",
}

// installed is a throwaway server with the binaries of this machine.
func installed(ctx context.Context, env getenv) (server, error) {
	binDir := env("PUNCTUAL_POSTGRES_BIN")
	from := "fetched binaries"
	if found, err := embeddedpg.Find(binDir); err == nil { //nolint:contextcheck // it takes none
		from = fmt.Sprintf("an installed server (%s)", found)
	}
	dir, err := os.MkdirTemp("", "punctual-testdb-")
	if err != nil {
		return server{}, err
	}
	// Its log is dropped: it tells of every connection that a test's end cut off. A failed start brings its end along.
	s, err := embeddedpg.Start(ctx, embeddedpg.Config{
		DataDir: dir, BinDir: binDir, Logger: slog.New(slog.DiscardHandler), Settings: maps.Clone(settings),
	})
	if err != nil {
		return server{}, errors.Join(err, os.RemoveAll(dir))
	}
	return server{url: s.URL(), from: from, stop: func(ctx context.Context) error {
		return errors.Join(s.Stop(ctx), os.RemoveAll(dir))
	}}, nil
}
