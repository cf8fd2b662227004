package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"punctual/gen/db"
	"punctual/internal/app"
	"punctual/internal/database"
	"punctual/internal/maintenance"
	"punctual/internal/secrets"
)

type rotation struct {
	GenerateKey generateKey `cmd:"" help:"Print a new key, for SECRET_KEYS."`
	Rotate      rotate      `cmd:"" help:"Seal all secrets with the first of SECRET_KEYS, so that the others are needed no longer."`
}

type generateKey struct{}

// Run prints a key.
func (generateKey) Run() error {
	_, err := fmt.Fprintln(os.Stdout, secrets.GenerateKey(time.Now().UTC()))
	return err
}

type rotate struct {
	Database   app.DatabaseConfig `embed:""`
	SecretKeys secrets.Keyring    `help:"The keys, as for serve." env:"SECRET_KEYS"`
}

// Run seals what is not sealed with the first key. Secrets that do not open are left as they are, and are an error.
func (r *rotate) Run(ctx context.Context, log *slog.Logger) (err error) {
	if err := r.SecretKeys.Validate(); err != nil {
		return fmt.Errorf("SECRET_KEYS: %w", err)
	}
	server, err := app.OpenDatabase(ctx, r.Database, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	pool, err := database.Open(ctx, server.URL)
	if err != nil {
		return err
	}
	defer pool.Close()
	resealed, left, err := maintenance.Reseal(ctx, db.New(pool), r.SecretKeys, log)
	if err != nil {
		return err
	}
	log.InfoContext(ctx, "secrets sealed anew", "jobs", resealed)
	if left > 0 {
		return fmt.Errorf("the secrets of %d jobs are left as they were: the log says why", left)
	}
	return nil
}
