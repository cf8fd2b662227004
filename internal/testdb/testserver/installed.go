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

// settings are those of every server that we start. Its data need not survive a crash, and it
// serves many test packages in parallel, each with pools of its own.
var settings = map[string]string{
	"fsync":              "off",
	"synchronous_commit": "off",
	"full_page_writes":   "off",
	"max_connections":    "300",
}

// installed starts a throwaway server with the binaries of this machine, or with fetched ones.
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
	// The log is dropped, because it mentions every connection that the end of a test has cut off.
	// The error of a failed start includes the end of the log.
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
