package testdb

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

func TestDatabasesAreMigratedAndIsolated(t *testing.T) {
	t.Parallel()
	one, other := dial(t, New(t)), dial(t, New(t))

	_, err := one.Exec(t.Context(), "create table only_here ()")
	require.NoError(t, err)
	assert.True(t, hasTable(t, one, "only_here"))
	assert.False(t, hasTable(t, other, "only_here"), "a table made in one database is in another")
	assert.True(t, hasTable(t, other, "jobs"), "the migrations' tables are missing")
}

func TestDatabaseIsDroppedAtTheEnd(t *testing.T) { //nolint:tparallel // what follows needs the inner test's end
	t.Parallel()
	var name string
	require.True(t, t.Run("uses one", func(t *testing.T) {
		conn := dial(t, New(t)) // still connected when the database is dropped
		require.NoError(t, conn.QueryRow(t.Context(), "select current_database()").Scan(&name))
	}))
	s, err := shared()
	require.NoError(t, err)
	assert.False(t, exists(t, dial(t, s.url.String()), name), "the database is still there")
}

func TestManyDatabasesAtOnce(t *testing.T) {
	t.Parallel()
	for range 2 * adminConnections {
		t.Run("one", func(t *testing.T) {
			t.Parallel()
			assert.True(t, hasTable(t, dial(t, New(t)), "jobs"))
		})
	}
}

func TestTemplateIsMadeOnceByManyProcesses(t *testing.T) {
	t.Parallel()
	s, name := templateFor(t)
	var makers errgroup.Group
	for range 8 { // each with a connection of its own, as processes have
		makers.Go(func() error { return ensureTemplate(t.Context(), s.url, name) })
	}
	require.NoError(t, makers.Wait())
	assert.True(t, exists(t, dial(t, s.url.String()), name))
	assert.False(t, exists(t, dial(t, s.url.String()), name+"_unfinished"))
}

func TestTemplateThatWasLeftUnfinishedIsMadeAnew(t *testing.T) {
	t.Parallel()
	s, name := templateFor(t)
	require.NoError(t, s.exec(t.Context(), "create database "+quote(name+"_unfinished")))
	conn := dial(t, withDatabase(s.url, name+"_unfinished"))
	_, err := conn.Exec(t.Context(), "create table jobs ()") // the migrations would fail on it
	require.NoError(t, err)

	assert.NoError(t, ensureTemplate(t.Context(), s.url, name))
}

// templateFor returns the server, and the name of a template that only this test makes.
func templateFor(t *testing.T) (*server, string) {
	t.Helper()
	s, err := shared()
	require.NoError(t, err)
	name := "punctual_template_of_test_" + strings.ToLower(rand.Text())
	t.Cleanup(func() {
		for _, name := range []string{name, name + "_unfinished"} {
			assert.NoError(t, s.exec(context.Background(), "drop database if exists "+quote(name)+" with (force)"))
		}
	})
	return s, name
}

func dial(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	// Its error is of no interest: some tests drop the database under it.
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func hasTable(t *testing.T, conn *pgx.Conn, name string) (has bool) {
	t.Helper()
	require.NoError(t, conn.QueryRow(t.Context(), "select to_regclass($1) is not null", name).Scan(&has))
	return has
}

func exists(t *testing.T, conn *pgx.Conn, database string) bool {
	t.Helper()
	has, err := databaseExists(t.Context(), conn, database)
	require.NoError(t, err)
	return has
}
