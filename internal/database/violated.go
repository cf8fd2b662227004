package database

import (
	"errors"
	"regexp"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"
)

var quoted = regexp.MustCompile(`"([^"]+)"`)

// ViolatedUnique returns the name of the unique constraint or index that a statement would have
// violated, or nothing if its error is another one. On Citus, the error may be an internal one, and
// only the message has the name, which ends with the number of the shard: "jobs_key_102012".
func ViolatedUnique(err error) (name string) {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || pg.Code != pgerrcode.UniqueViolation && pg.Code != pgerrcode.InternalError {
		return ""
	}
	if pg.ConstraintName != "" {
		return pg.ConstraintName
	}
	if found := quoted.FindStringSubmatch(pg.Message); found != nil {
		return found[1]
	}
	return ""
}
