package testdb

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// Columns returns the columns of a table that an insert may name, separated by commas: all but the
// generated ones.
func Columns(t *testing.T, db interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}, table string,
) (list string) {
	t.Helper()
	require.NoError(t, db.QueryRow(t.Context(), `
		select string_agg(attname, ', ' order by attnum) from pg_attribute
		where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = ''`, table).Scan(&list))
	return list
}
