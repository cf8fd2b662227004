package instances_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/database"
	"punctual/internal/instances"
	"punctual/internal/maintenance"
	"punctual/internal/testdb"
)

func setup(t *testing.T, c instances.Config) (*instances.Registry, *pgxpool.Pool) {
	t.Helper()
	pool, err := database.Open(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	c.Queries, c.Name, c.Roles = db.New(pool), "web-1/42", []string{"API"}
	registry, err := instances.New(c)
	require.NoError(t, err)
	return registry, pool
}

// list returns the instances that are alive.
func list(t *testing.T, pool *pgxpool.Pool) []db.Instance {
	t.Helper()
	alive, err := db.New(pool).ListInstances(t.Context())
	require.NoError(t, err)
	return alive
}

// An instance is alive from its first row on, until it stops or its row has expired.
func TestRegistry(t *testing.T) {
	t.Parallel()
	executing := 7
	r, pool := setup(t, instances.Config{
		Executing: func() int { return executing },
		Asking:    func() map[string]int32 { return map[string]int32{"default/b": 1, "default/a": 3} },
	})
	require.Empty(t, list(t, pool))
	require.NoError(t, r.Renew(t.Context()))
	first := list(t, pool)[0]
	require.Equal(t, r.ID, first.ID)
	require.Equal(t, "web-1/42", first.Name)
	require.EqualValues(t, 7, first.Executing)
	require.Equal(t, []string{"default/a", "default/b"}, first.AskedQueues)
	require.Equal(t, []int32{3, 1}, first.Asking)
	require.Equal(t, 9*time.Second, first.ExpiresAt.Sub(first.StartedAt))

	executing = 8
	require.NoError(t, r.Renew(t.Context()))
	second := list(t, pool)[0]
	require.EqualValues(t, 8, second.Executing)
	require.Equal(t, first.StartedAt, second.StartedAt)
	require.True(t, second.ExpiresAt.After(first.ExpiresAt))
	require.NoError(t, r.Release(t.Context()))
	require.Empty(t, list(t, pool))
}

// A row that was deleted because it had expired comes back.
func TestRegistry_comesBack(t *testing.T) {
	t.Parallel()
	r, pool := setup(t, instances.Config{})
	require.NoError(t, r.Renew(t.Context()))
	age := func(by string) {
		t.Helper()
		_, err := pool.Exec(t.Context(), `update instances set expires_at = now() - $1::interval`, by)
		require.NoError(t, err)
	}
	age("59 minutes")
	require.Empty(t, list(t, pool), "it has expired")
	duty := maintenance.Instances(db.New(pool))
	got, err := duty.Pass(t.Context())
	require.NoError(t, err)
	require.Zero(t, got.Count)
	age("61 minutes")
	got, err = duty.Pass(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, got.Count)
	require.NoError(t, r.Renew(t.Context()))
	require.Len(t, list(t, pool), 1)
}

// The renewal of a lease writes the row, so that Run has nothing to do. A lost lease does not make
// an instance dead.
func TestRenewWithLease(t *testing.T) {
	t.Parallel()
	r, pool := setup(t, instances.Config{})
	q := db.New(pool)
	id := uuid.New()
	require.NoError(t, q.CreateLease(t.Context(), db.CreateLeaseParams{ID: id, Holder: "web-1/42", Duration: time.Minute}))
	require.NoError(t, r.Renew(t.Context()))
	n, err := r.RenewWithLease(t.Context(), q, id, time.Hour)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	var left time.Duration
	require.NoError(t, pool.QueryRow(t.Context(), `select expires_at - created_at from leases`).Scan(&left))
	require.Greater(t, left, 59*time.Minute)
	require.Len(t, list(t, pool), 1)

	n, err = r.RenewWithLease(t.Context(), q, uuid.New(), time.Hour)
	require.NoError(t, err)
	require.Zero(t, n, "it is lost")
	require.Len(t, list(t, pool), 1)

	require.NoError(t, r.Release(t.Context()))
	n, err = r.RenewWithLease(t.Context(), q, id, time.Hour)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	require.Empty(t, list(t, pool), "Run writes the row")
}
