package database_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/database"
	"punctual/internal/testdb"
)

// The time of a statement is that of the message that brought it.
func TestDialect_sendsEachStatementAlone(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(testdb.New(t))
	require.NoError(t, err)
	db, err := database.OpenDialect(u)
	require.NoError(t, err)
	defer db.Close()
	tx, err := db.Begin()
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), `
		create temporary table sent (at timestamptz not null default statement_timestamp());
		insert into sent default values;
		insert into sent default values;
	`)
	require.NoError(t, err)
	var first, second time.Time
	require.NoError(t, tx.QueryRowContext(t.Context(), "select min(at), max(at) from sent").Scan(&first, &second))
	require.NotEqual(t, first, second)
	require.NoError(t, tx.Rollback())
}
