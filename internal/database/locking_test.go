package database_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/database"
	"punctual/internal/testdb"
)

// The locks of an instance that was cut off in a transaction are released after a while.
func TestSilence_locksAreReleased(t *testing.T) {
	t.Parallel()
	pool, err := database.Open(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	const lock, setting = `select pg_advisory_xact_lock(1)`, `show idle_in_transaction_session_timeout`

	tx, err := pool.BeginTx(t.Context(), database.Locking)
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), lock)
	require.NoError(t, err)
	soon, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	_, err = pool.Exec(soon, lock)
	require.NoError(t, err, "the lock is free while the silent one has not ended its transaction")
	require.Error(t, tx.Commit(t.Context()))

	var before, after string
	conn, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	require.NoError(t, conn.QueryRow(t.Context(), setting).Scan(&before))
	tx, err = conn.BeginTx(t.Context(), database.Locking)
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, conn.QueryRow(t.Context(), setting).Scan(&after))
	require.Equal(t, before, after, "whom a pooler gives this session to next is not bound by it")
}
