package namespaces_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"punctual/internal/access"
	"punctual/internal/cells"
	"punctual/internal/database"
	"punctual/internal/namespaces"
	"punctual/internal/testdb"
)

// counter counts the statements that read one row.
type counter struct {
	*pgxpool.Pool
	n int
}

func (c *counter) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	c.n++
	return c.Pool.QueryRow(ctx, sql, args...)
}

func TestCache(t *testing.T) {
	t.Parallel()
	pool, err := database.Open(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	_, err = pool.Exec(t.Context(), "insert into namespaces (name, description, max_jobs) values ('team', '', 5)")
	require.NoError(t, err)
	statements := &counter{Pool: pool}
	cache := namespaces.NewCache(cells.New(statements))

	for range 100 {
		limits, err := cache.Limits(t.Context(), "team")
		require.NoError(t, err)
		require.EqualValues(t, 5, *limits.MaxJobs)
	}
	require.Equal(t, 1, statements.n, "a namespace that is known costs no statement")

	_, err = pool.Exec(t.Context(), "update namespaces set suspended_at = now(), max_jobs = null where name = 'team'")
	require.NoError(t, err)
	cache.Forget()
	limits, err := cache.Limits(t.Context(), "team")
	require.NoError(t, err)
	require.Equal(t, access.Limits{IsSuspended: true}, limits)

	_, err = pool.Exec(t.Context(), "update namespaces set deleted_at = now() where name = 'team'")
	require.NoError(t, err)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		_, err := cache.Limits(t.Context(), "team")
		require.ErrorIs(c, err, access.ErrNoNamespace, "what nobody tells is known after some seconds")
	}, 20*time.Second, 50*time.Millisecond)
	_, err = cache.Limits(t.Context(), "nobody")
	require.ErrorIs(t, err, access.ErrNoNamespace)
}

// slow holds each statement back until it may go on.
type slow struct {
	*pgxpool.Pool
	begun atomic.Int32
	goOn  chan struct{}
}

func (s *slow) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	s.begun.Add(1)
	<-s.goOn
	return s.Pool.QueryRow(ctx, sql, args...)
}

// A thousand workers that ask again at the same moment cost one statement.
func TestCacheReadsOnceForAll(t *testing.T) {
	t.Parallel()
	pool, err := database.Open(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	statements := &slow{Pool: pool, goOn: make(chan struct{})}
	cache := namespaces.NewCache(cells.New(statements))

	var all errgroup.Group
	var asking sync.WaitGroup
	for range 50 {
		asking.Add(1)
		all.Go(func() error {
			asking.Done()
			_, err := cache.Limits(t.Context(), access.DefaultNamespace)
			return err
		})
	}
	asking.Wait()
	close(statements.goOn)
	require.NoError(t, all.Wait())
	require.EqualValues(t, 1, statements.begun.Load())
}
