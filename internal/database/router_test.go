package database_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"punctual/internal/testdb"
)

// generated matches the statements that sqlc has generated.
var generated = regexp.MustCompile("(?s)= `-- name: (\\w+) :\\w+\n(.*?)`")

// Each statement keeps to what Citus sends to one node: see decision 8. PostgreSQL itself parses
// them, as the bodies of functions.
func TestStatementsAreRoutable(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	mutable := mutableFunctions(t, conn)
	found := map[string][]string{}
	all := generatedStatements(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		var why []string
		for _, n := range parseTree(parsed(t, conn, name, all[name])) {
			why = append(why, n.unroutable(mutable)...)
		}
		slices.Sort(why)
		for _, reason := range slices.Compact(why) {
			found[reason] = append(found[reason], name)
		}
	}
	require.Empty(t, found, "statements by what Citus does not send to one node")
}

// generatedStatements returns the statements that can be parsed as the body of a function, by their
// names.
func generatedStatements(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	files, err := filepath.Glob("../../gen/db/*.sql.go")
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, found := range generated.FindAllStringSubmatch(string(text), -1) {
			if statement := found[2]; !strings.HasPrefix(statement, "listen ") && !strings.HasPrefix(statement, "notify ") {
				all[found[1]] = strings.TrimRight(statement, "; \n")
			}
		}
	}
	require.Greater(t, len(all), 200)
	return all
}

// parsed returns a statement as PostgreSQL has parsed it.
func parsed(t *testing.T, conn *pgx.Conn, name, statement string) (tree string) {
	t.Helper()
	prepared, err := conn.Prepare(t.Context(), name, statement)
	require.NoError(t, err, name)
	types := make([]string, len(prepared.ParamOIDs))
	for i, oid := range prepared.ParamOIDs {
		require.NoError(t, conn.QueryRow(t.Context(), "select format_type($1::oid, null)", strconv.Itoa(int(oid))).Scan(&types[i]))
	}
	require.NoError(t, conn.Deallocate(t.Context(), name))
	_, err = conn.Exec(t.Context(),
		"create or replace function parsed("+strings.Join(types, ", ")+") returns void language sql begin atomic "+statement+"; end")
	require.NoError(t, err, name)
	require.NoError(t, conn.QueryRow(t.Context(), "select prosqlbody::text from pg_proc where proname = 'parsed'").Scan(&tree), name)
	_, err = conn.Exec(t.Context(), "drop function parsed")
	require.NoError(t, err, name)
	return tree
}

// mutableFunctions returns the names of the functions whose result may change, by their oids.
func mutableFunctions(t *testing.T, conn *pgx.Conn) map[string]string {
	t.Helper()
	rows, err := conn.Query(t.Context(), "select oid::text, proname::text from pg_proc where provolatile <> 'i'")
	require.NoError(t, err)
	all := map[string]string{}
	for rows.Next() {
		var oid, name string
		require.NoError(t, rows.Scan(&oid, &name))
		all[oid] = name
	}
	require.NoError(t, rows.Err())
	return all
}

func TestUnroutable(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	mutable := mutableFunctions(t, conn)
	for statement, want := range map[string][]string{
		"select coalesce(created_at, now()) from jobs":                                   nil,
		"update jobs set updated_at = now()":                                             nil,
		"update jobs set updated_at = least(deleted_at, now())":                          nil,
		"update jobs set updated_at = coalesce(deleted_at, now())":                       {"now is called in case or coalesce"},
		"delete from jobs where created_at + interval '1 day' < '2026-01-01'":            {"timestamptz_pl_interval is called with a column"},
		"with d as (delete from due) delete from runs":                                   nil,
		"with l as (insert into leases (id) values (gen_random_uuid())) delete from due": {"a common table expression inserts"},
	} {
		var why []string
		for _, n := range parseTree(parsed(t, conn, "", statement)) {
			why = append(why, n.unroutable(mutable)...)
		}
		require.Equal(t, want, why, statement)
	}
}
