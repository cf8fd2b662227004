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
	"punctual/internal/cells"
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
	schemas, err := cells.Schemas(ctx, server.Direct)
	if err != nil {
		return err
	}
	var resealed, left int
	for _, schema := range schemas {
		done, kept, err := r.resealIn(ctx, schema.URL, log)
		resealed, left = resealed+done, left+kept
		if err != nil {
			return err
		}
	}
	log.InfoContext(ctx, "secrets encrypted with the first key", "jobsAndConnections", resealed)
	if left > 0 {
		return fmt.Errorf("the secrets of %d job(s) or connection(s) could not be decrypted and were left as they are; the log says why", left)
	}
	return nil
}

// resealIn is Run for one cell.
func (r *rotate) resealIn(ctx context.Context, url string, log *slog.Logger) (resealed, left int, err error) {
	pool, err := database.Open(ctx, url)
	if err != nil {
		return 0, 0, err
	}
	defer pool.Close()
	return reseal.All(ctx, db.New(pool), r.SecretKeys, log)
}
