package lease_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/database"
	"punctual/internal/lease"
	"punctual/internal/logging"
	"punctual/internal/testdb"
)

func setup(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := database.Open(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// run renews leases until the returned function is called, or the test ends.
func run(t *testing.T, k *lease.Keeper) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		k.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(stop)
	return stop
}

// isValid reports whether the database still counts a lease as held.
func isValid(t *testing.T, pool *pgxpool.Pool, l *lease.Lease) (valid bool) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(),
		"select exists (select from leases where id = $1 and expires_at > clock_timestamp())", l.ID).Scan(&valid))
	return valid
}

// breakable is a database that can go away.
type breakable struct {
	*pgxpool.Pool
	isAway atomic.Bool
}

func (b *breakable) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if b.isAway.Load() {
		return pgconn.CommandTag{}, errors.New("the database is away")
	}
	return b.Pool.Exec(ctx, sql, args...)
}

func TestKeeper(t *testing.T) {
	t.Parallel()

	t.Run("holds one lease and renews it", func(t *testing.T) {
		t.Parallel()
		pool := setup(t)
		k := lease.NewKeeper(lease.Config{Queries: db.New(pool), Duration: 4 * time.Second})
		first, err := k.Hold(t.Context())
		require.NoError(t, err)
		run(t, k)
		<-time.After(5 * time.Second)
		require.True(t, first.Held())
		require.True(t, isValid(t, pool, first))
		again, err := k.Hold(t.Context())
		require.NoError(t, err)
		require.Same(t, first, again)
	})

	t.Run("stops executors before the lease runs out in the database", func(t *testing.T) {
		t.Parallel()
		pool := setup(t)
		k := lease.NewKeeper(lease.Config{Queries: db.New(pool), Duration: 3 * time.Second})
		l, err := k.Hold(t.Context())
		require.NoError(t, err)
		<-l.Context.Done() // nobody renews it
		ended := time.Now()
		var lasts bool
		require.NoError(t, pool.QueryRow(t.Context(), "select expires_at > $2 from leases where id = $1", l.ID, ended).Scan(&lasts))
		require.True(t, lasts)
		require.ErrorIs(t, context.Cause(l.Context), lease.ErrLost)
		require.False(t, l.Held())
		next, err := k.Hold(t.Context())
		require.NoError(t, err)
		require.NotEqual(t, l.ID, next.ID, "a lost lease is never used again")
	})

	t.Run("loses a lease that the database has given up", func(t *testing.T) {
		t.Parallel()
		pool := setup(t)
		k := lease.NewKeeper(lease.Config{Queries: db.New(pool), Duration: 9 * time.Second})
		l, err := k.Hold(t.Context())
		require.NoError(t, err)
		began := time.Now()
		require.NoError(t, db.New(pool).ExpireLease(t.Context(), l.ID))
		run(t, k)
		<-l.Context.Done()
		require.Less(t, time.Since(began), 6*time.Second, "at the first renewal, after a third of the duration")
		require.ErrorIs(t, context.Cause(l.Context), lease.ErrLost)
	})

	t.Run("releases a lease at once", func(t *testing.T) {
		t.Parallel()
		pool := setup(t)
		k := lease.NewKeeper(lease.Config{Queries: db.New(pool)})
		held, err := k.Release(t.Context())
		require.NoError(t, err)
		require.False(t, held, "there was none")
		l, err := k.Hold(t.Context())
		require.NoError(t, err)
		held, err = k.Release(t.Context())
		require.NoError(t, err)
		require.True(t, held)
		require.False(t, l.Held())
		require.False(t, isValid(t, pool, l))
	})

	t.Run("survives a short outage, and logs it briefly", func(t *testing.T) {
		t.Parallel()
		conn := &breakable{Pool: setup(t)}
		var log bytes.Buffer
		k := lease.NewKeeper(lease.Config{
			Queries: db.New(conn), Duration: 6 * time.Second, Logger: logging.New(&log, slog.LevelInfo),
		})
		l, err := k.Hold(t.Context())
		require.NoError(t, err)
		conn.isAway.Store(true)
		stop := run(t, k)
		<-time.After(3500 * time.Millisecond) // it has tried from the second on, each 0.3 s
		conn.isAway.Store(false)
		<-time.After(2500 * time.Millisecond)
		stop()
		require.True(t, l.Held())
		require.Equal(t, 2, strings.Count(log.String(), "\n"), "one line when it failed, one when it worked: %s", &log)
	})
}
