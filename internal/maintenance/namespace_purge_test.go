package maintenance_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/internal/maintenance"
)

func TestPurge(t *testing.T) {
	t.Parallel()
	q, pool := setup(t)
	for _, name := range []string{"empty", "fresh", "with-a-job", "with-a-deleted-job", "there"} {
		addNamespace(t, pool, name, nil)
	}
	addJob(t, pool, "with-a-job", -1)
	addJob(t, pool, "with-a-deleted-job", 5)
	_, err := pool.Exec(t.Context(), `update namespaces set deleted_at = now() - case name when 'fresh' then interval '30 seconds' else '2 minutes' end
		where name not in ('there', 'default')`)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `insert into keys (id, namespace, secret_sha256, description, scopes, created_by, revoked_at)
		select name, nullif(name, 'default'), sha256('x'), '', '{admin}', 'test', now() from namespaces`)
	require.NoError(t, err)
	for _, name := range []string{"empty", "there"} {
		addStats(t, pool, name, 0, 1)
	}
	purge := func() []string {
		t.Helper()
		_, err := maintenance.Purge(q).Pass(t.Context())
		require.NoError(t, err)
		var left []string
		require.NoError(t, pool.QueryRow(t.Context(), "select array_agg(name) from namespaces").Scan(&left))
		slices.Sort(left)
		var keys []string
		require.NoError(t, pool.QueryRow(t.Context(), "select array_agg(id order by id) from keys").Scan(&keys))
		require.Equal(t, left, keys, "whoever gets the name does not get the keys")
		return left
	}
	require.Equal(t, []string{"default", "fresh", "there", "with-a-deleted-job", "with-a-job"}, purge())
	require.Zero(t, count(t, pool, "select count(*) from run_stats where namespace = 'empty'"), "nor what was counted of its runs")
	require.Equal(t, 120, count(t, pool, "select count(*) from run_stats"))
	_, err = maintenance.Retention(q, 4).Pass(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"default", "fresh", "there", "with-a-job"}, purge(), "its jobs are purged")
}
