package database_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/internal/database"
	"punctual/internal/testdb"
)

// numbers returns a pool of one connection with an empty table of unique numbers, and what counts
// them.
func numbers(t *testing.T) (pool *pgxpool.Pool, count func() int) {
	t.Helper()
	pool, err := database.OpenLimited(t.Context(), testdb.New(t), database.Limits{Connections: 1})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	_, err = pool.Exec(t.Context(), `create table numbers (n integer constraint numbers_are_unique primary key)`)
	require.NoError(t, err)
	return pool, func() (n int) {
		require.NoError(t, pool.QueryRow(t.Context(), `select count(*) from numbers`).Scan(&n))
		return n
	}
}

// pidOf returns which connection a pool of one has.
func pidOf(t *testing.T, pool *pgxpool.Pool) (pid int) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(), `select pg_backend_pid()`).Scan(&pid))
	return pid
}

const insert = `insert into numbers values ($1)`

func TestTransact(t *testing.T) {
	t.Parallel()
	t.Run("commits what was sent later, too", func(t *testing.T) {
		t.Parallel()
		pool, count := numbers(t)
		require.NoError(t, database.Transact(t.Context(), pool, func(tx *database.Tx) error {
			_, err := tx.Later().Exec(t.Context(), insert, 1)
			require.NoError(t, err)
			tag, err := tx.Exec(t.Context(), insert, 2)
			require.NoError(t, err)
			require.EqualValues(t, 1, tag.RowsAffected())
			var n int
			require.NoError(t, tx.QueryRow(t.Context(), `select count(*) from numbers`).Scan(&n))
			require.Equal(t, 2, n)
			require.ErrorIs(t, tx.QueryRow(t.Context(), `select n from numbers where n = 3`).Scan(&n), pgx.ErrNoRows)
			_, err = tx.Later().Exec(t.Context(), insert, 3)
			return err
		}))
		require.Equal(t, 3, count())
	})
	t.Run("rolls back, and the connection stays", func(t *testing.T) {
		t.Parallel()
		pool, count := numbers(t)
		before, errOwn := pidOf(t, pool), errors.New("its own")
		require.ErrorIs(t, database.Transact(t.Context(), pool, func(tx *database.Tx) error {
			_, err := tx.Exec(t.Context(), insert, 1)
			require.NoError(t, err)
			return errOwn
		}), errOwn)
		require.ErrorIs(t, database.Transact(t.Context(), pool, func(tx *database.Tx) error {
			_, err := tx.Later().Exec(t.Context(), insert, 1)
			require.NoError(t, err)
			return errOwn
		}), errOwn, "nothing was sent")
		require.Zero(t, count())
		require.Equal(t, before, pidOf(t, pool))
	})
	t.Run("returns the error of what was sent later", func(t *testing.T) {
		t.Parallel()
		pool, count := numbers(t)
		before := pidOf(t, pool)
		twice := func(end func(tx *database.Tx) error) error {
			return database.Transact(t.Context(), pool, func(tx *database.Tx) error {
				for range 2 {
					_, err := tx.Later().Exec(t.Context(), insert, 1)
					require.NoError(t, err)
				}
				return end(tx)
			})
		}
		var n int
		for name, end := range map[string]func(tx *database.Tx) error{
			"at the commit":   func(*database.Tx) error { return nil },
			"by a query":      func(tx *database.Tx) error { return tx.QueryRow(t.Context(), `select 1`).Scan(&n) },
			"by an execution": func(tx *database.Tx) error { _, err := tx.Exec(t.Context(), insert, 2); return err },
			"by a query that is planned for each execution": func(tx *database.Tx) error {
				return tx.QueryRow(t.Context(), `select 1`, pgx.QueryExecModeCacheDescribe).Scan(&n)
			},
		} {
			require.Equal(t, "numbers_are_unique", database.ViolatedUnique(twice(end)), name)
			require.Zero(t, count(), name)
			require.Equal(t, before, pidOf(t, pool), name)
		}
	})
	t.Run("does not take an error that was ignored for success", func(t *testing.T) {
		t.Parallel()
		pool, count := numbers(t)
		require.ErrorIs(t, database.Transact(t.Context(), pool, func(tx *database.Tx) error {
			for range 2 {
				_, _ = tx.Exec(t.Context(), insert, 1)
			}
			return nil
		}), pgx.ErrTxCommitRollback)
		require.Zero(t, count())
	})
	t.Run("gives up with its context", func(t *testing.T) {
		t.Parallel()
		pool, count := numbers(t)
		ctx, cancel := context.WithCancel(t.Context())
		require.ErrorIs(t, database.Transact(ctx, pool, func(tx *database.Tx) error {
			_, err := tx.Exec(ctx, insert, 1)
			cancel()
			return err
		}), context.Canceled)
		require.Zero(t, count())
	})
}

// What is sent together is one transaction.
func TestTogether(t *testing.T) {
	t.Parallel()
	pool, count := numbers(t)
	conn, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	together := database.Together(conn)
	_, err = together.Later().Exec(t.Context(), insert, 1)
	require.NoError(t, err)
	var n int
	require.NoError(t, together.QueryRow(t.Context(), `select count(*) from numbers`).Scan(&n))
	require.Equal(t, 1, n)
	for _, value := range []int{2, 1} {
		_, err = together.Later().Exec(t.Context(), insert, value)
		require.NoError(t, err)
	}
	require.Equal(t, "numbers_are_unique", database.ViolatedUnique(together.QueryRow(t.Context(), `select 1`).Scan(&n)))
	conn.Release()
	require.Equal(t, 1, count())
}

func TestViolatedUnique(t *testing.T) {
	t.Parallel()
	require.Empty(t, database.ViolatedUnique(nil))
	require.Empty(t, database.ViolatedUnique(&pgconn.PgError{Code: pgerrcode.CheckViolation, ConstraintName: "c"}))
	onCitus := &pgconn.PgError{Code: pgerrcode.InternalError, Message: `duplicate key value violates unique constraint "jobs_key_102012"`}
	require.Equal(t, "jobs_key_102012", database.ViolatedUnique(onCitus))
}
