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
	"punctual/internal/reseal"
	"punctual/internal/secrets"
)

type rotation struct {
	GenerateKey generateKey `cmd:"" help:"Print a new key for SECRET_KEYS."`
	Rotate      rotate      `cmd:"" help:"Encrypt all secrets with the first key of SECRET_KEYS, so that the other keys are no longer needed."`
}

type generateKey struct{}

// Run prints a new key.
func (generateKey) Run() error {
	_, err := fmt.Fprintln(os.Stdout, secrets.GenerateKey(time.Now().UTC()))
	return err
}

type rotate struct {
	Database   app.DatabaseConfig `embed:""`
	SecretKeys secrets.Keyring    `help:"The keys, as for 'serve'." env:"SECRET_KEYS"`
}

// Run encrypts all secrets that are not encrypted with the first key. It leaves secrets that cannot
// be decrypted as they are and then returns an error.
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
	resealed, left, err := reseal.All(ctx, db.New(pool), r.SecretKeys, log)
	if err != nil {
		return err
	}
	log.InfoContext(ctx, "secrets encrypted with the first key", "jobsAndConnections", resealed)
	if left > 0 {
		return fmt.Errorf("the secrets of %d job(s) or connection(s) could not be decrypted and were left as they are; the log says why", left)
	}
	return nil
}
