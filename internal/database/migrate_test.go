package database_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"punctual/internal/database"
	"punctual/internal/testdb"
)

var discard = slog.New(slog.DiscardHandler)

// applied returns how many migrations are applied, and how many there are.
func applied(t *testing.T, url string) (applied, all int) {
	t.Helper()
	list, err := database.Migrations(t.Context(), url)
	require.NoError(t, err)
	for _, m := range list {
		if m.Applied {
			applied++
		}
	}
	return applied, len(list)
}

func TestMigrate_downAndUpFromEveryVersion(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	_, all := applied(t, url)
	for steps := 1; steps <= all; steps++ {
		for range steps {
			require.NoError(t, database.Rollback(t.Context(), url, discard))
		}
		left, _ := applied(t, url)
		require.Equal(t, all-steps, left)
		require.NoError(t, database.Migrate(t.Context(), url, discard), "after %d steps down", steps)
		now, _ := applied(t, url)
		require.Equal(t, all, now)
	}
	require.Error(t, rollbackAll(t.Context(), url, all+1), "there is nothing left to undo")
}

func TestMigrate_failureLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	_, all := applied(t, url)
	require.NoError(t, rollbackAll(t.Context(), url, all))
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(t.Context(), "create table due ()") // in the middle of a migration
	require.NoError(t, err)

	err = database.Migrate(t.Context(), url, discard)
	require.ErrorContains(t, err, `relation "due" already exists`)
	require.ErrorContains(t, err, `"create table due (`, "the error names the statement")
	var tables int
	require.NoError(t, conn.QueryRow(t.Context(),
		"select count(*) from pg_tables where schemaname = 'public' and tablename = 'leases'").Scan(&tables))
	require.Zero(t, tables, "what preceded the failure is undone")

	_, err = conn.Exec(t.Context(), "drop table due")
	require.NoError(t, err)
	require.NoError(t, database.Migrate(t.Context(), url, discard), "it can be tried again")
	now, _ := applied(t, url)
	require.Equal(t, all, now)
}

func rollbackAll(ctx context.Context, url string, steps int) error {
	for range steps {
		if err := database.Rollback(ctx, url, discard); err != nil {
			return err
		}
	}
	return nil
}
