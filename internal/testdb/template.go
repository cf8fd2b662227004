package testdb

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"

	"github.com/jackc/pgx/v5"

	"punctual/internal/database"
	"punctual/sql/migrations"
)

// templateLock is the advisory lock under which templates are created: any number that nobody else
// uses in that database.
const templateLock = 7_305_218_466

// templateName returns a name that differs for each state of the migrations, so that a server which
// outlives a change of them, or serves two branches, never hands out the wrong schema.
func templateName() string {
	hash := sha256.New()
	err := fs.WalkDir(migrations.FS, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(migrations.FS, path)
		fmt.Fprintf(hash, "%s %d\n%s", path, len(text), text)
		return err
	})
	if err != nil {
		panic(err) // embedded files are always readable
	}
	return "punctual_template_" + hex.EncodeToString(hash.Sum(nil)[:8])
}

// ensureTemplate creates the template database unless it exists. Test processes that start together
// wait for the first one.
//
// The database gets its name when it is complete, so that a half-made one is never cloned. Nobody
// may connect to it, because a single connection would make every clone fail.
func ensureTemplate(ctx context.Context, server *url.URL, name string) (err error) {
	// The lock ends with this connection.
	conn, err := pgx.Connect(ctx, server.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if exists, err := databaseExists(ctx, conn, name); exists || err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "select pg_advisory_lock($1)", templateLock); err != nil {
		return err
	}
	if exists, err := databaseExists(ctx, conn, name); exists || err != nil {
		return err
	}

	unfinished := name + "_unfinished"
	for _, sql := range []string{
		"drop database if exists " + quote(unfinished) + " with (force)", // somebody was killed at it
		"create database " + quote(unfinished),
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	if err := database.Migrate(ctx, withDatabase(server, unfinished), slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	for _, sql := range []string{
		"alter database " + quote(unfinished) + " with allow_connections false",
		"alter database " + quote(unfinished) + " rename to " + quote(name),
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

func databaseExists(ctx context.Context, conn *pgx.Conn, name string) (exists bool, err error) {
	err = conn.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", name).Scan(&exists)
	return exists, err
}
