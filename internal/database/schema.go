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

// InSchemas returns the URL of a database with the schemas in which its sessions look for tables.
// Nothing checks that there are such schemas.
func InSchemas(databaseURL string, schemas ...string) (string, error) {
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
var ErrOtherSchema = errors.New("the session does not use its schema: there is no such schema, or a pooler in between " +
	"does not pass on the search_path, so that DATABASE_URL must lead to PostgreSQL itself")

// checkSchema returns an error unless a new session uses a schema. A statement would otherwise read
// or change the rows of others.
func checkSchema(ctx context.Context, conn *pgx.Conn, schema string) error {
	has, err := db.New(conn).CurrentCell(ctx)
	if err != nil {
		return fmt.Errorf("read the schema of the session: %w", err)
	}
	if has != schema {
		return fmt.Errorf("%w: %s", ErrOtherSchema, schema)
	}
	return nil
}
