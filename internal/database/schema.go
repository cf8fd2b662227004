package database

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
)

// InSchema returns the URL of a database with the schemas in which its sessions look for tables.
// None: those that the URL or the database says.
func InSchema(databaseURL string, schemas ...string) (string, error) {
	if len(schemas) == 0 {
		return databaseURL, nil
	}
	u, err := url.Parse(databaseURL)
	if err != nil {
		return "", errors.New("database url: not a URL") // the error of url.Parse contains the password
	}
	query := u.Query()
	query.Set("search_path", strings.Join(schemas, ","))
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// ErrOtherSchema says that a session does not look for tables where it is to.
var ErrOtherSchema = errors.New("the session does not use the schema of the URL (search_path): if there is a pooler in between, " +
	"it does not pass it on, so DATABASE_URL must lead to PostgreSQL itself")

// checkSchema returns an error unless a new session uses the first of the schemas that its URL
// says. A statement would otherwise read or change the rows of others.
func checkSchema(ctx context.Context, conn *pgx.Conn, searchPath string) error {
	wanted, _, _ := strings.Cut(searchPath, ",")
	has, err := db.New(conn).CurrentCell(ctx)
	if err != nil {
		return fmt.Errorf("read the schema of the session: %w", err)
	}
	if has != strings.Trim(wanted, ` "`) {
		return fmt.Errorf("%w: %s", ErrOtherSchema, wanted)
	}
	return nil
}
