package maintenance_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/database"
	"punctual/internal/maintenance"
	"punctual/internal/testdb"
)

func setup(t *testing.T) (*db.Queries, *pgxpool.Pool) {
	t.Helper()
	pool, err := database.Open(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return db.New(pool), pool
}

// partitions returns how many partitions runs has.
func partitions(t *testing.T, pool *pgxpool.Pool) (n int) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(), "select count(*) from pg_inherits where inhparent = 'runs'::regclass").Scan(&n))
	return n
}

func TestPartitions(t *testing.T) {
	t.Parallel()

	t.Run("are created once, whoever does it", func(t *testing.T) {
		t.Parallel()
		q, pool := setup(t)
		created := make(chan int64, 8)
		for range cap(created) {
			go func() {
				result, err := maintenance.Partitions(q).Pass(t.Context())
				if err != nil {
					result.Count = -100
				}
				created <- result.Count
			}()
		}
		var all int64
		for range cap(created) {
			all += <-created
		}
		require.EqualValues(t, 4, all, "today and three days, each by one")
		require.Equal(t, 4, partitions(t, pool))
	})
}
