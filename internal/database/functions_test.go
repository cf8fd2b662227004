package database_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"punctual/internal/testdb"
)

// ofVersionBefore are functions that only instances of the version before call.
var ofVersionBefore = []string{"find_jobs", "queues_between"}

// Each function in SQL can be called where no path leads to the schema, and reads no table, as on a
// worker of Citus: see decision 8. PostgreSQL itself checks the bodies that are texts.
func TestFunctionsNeedNoPath(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	_, err = conn.Exec(t.Context(), "select set_config('search_path', '', false)")
	require.NoError(t, err)
	rows, err := conn.Query(t.Context(), `
		select pg_get_functiondef(p.oid)
		from pg_proc p
		join pg_language l on l.oid = p.prolang
		where l.lanname = 'sql' and p.proname <> all($1) and p.pronamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)`, ofVersionBefore)
	require.NoError(t, err)
	functions, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.NotEmpty(t, functions)
	for _, function := range functions {
		_, err := conn.Exec(t.Context(), function)
		require.NoError(t, err, function)
	}
	var readers []string
	require.NoError(t, conn.QueryRow(t.Context(), `
		select coalesce(array_agg(distinct objid::regprocedure::text), '{}')
		from pg_depend
		where classid = 'pg_proc'::regclass and refclassid = 'pg_class'::regclass`).Scan(&readers))
	require.Empty(t, readers)
}
