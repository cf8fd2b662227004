package maintenance_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/maintenance"
)

// Old entries of the audit go, of all namespaces, and so do old versions of jobs.
func TestAudit(t *testing.T) {
	t.Parallel()
	q, pool := setup(t)
	exec := func(sql string) {
		t.Helper()
		_, err := pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	count := func(sql string) (n int) {
		t.Helper()
		require.NoError(t, pool.QueryRow(t.Context(), sql).Scan(&n))
		return n
	}
	exec(`insert into audit (namespace, at, actor, operation, resource_type, resource_id, result)
		select namespace, now() - make_interval(days => days, secs => n), 'anonymous', 'createJob', 'JOB', 'x', '{}'
		from unnest(array['default', 'a', 'z']) as namespace, unnest(array[0, 6, 8]) as days, generate_series(1, 3000) as n`)
	exec(`insert into job_versions (job_id, version, updated_at, updated_by, superseded_at, next_status, definition)
		select gen_random_uuid(), 1, now() - interval '1 year', 'anonymous', now() - make_interval(days => days), 'ACTIVE', '{}'
		from unnest(array[0, 6, 8, 9]) as days`)

	duty := maintenance.Audit(q, 7)
	first, err := duty.Pass(t.Context())
	require.NoError(t, err)
	require.Equal(t, maintenance.Result{Count: 5002, Next: time.Second}, first, "a bounded number, and soon again")
	require.Equal(t, 4000, count(`select count(*) from audit where at < now() - interval '7 days'`))
	second, err := duty.Pass(t.Context())
	require.NoError(t, err)
	require.Equal(t, maintenance.Result{Count: 4000}, second)
	third, err := duty.Pass(t.Context())
	require.NoError(t, err)
	require.Zero(t, third, "doing it again is harmless")
	require.Equal(t, 18_000, count(`select count(*) from audit where at > now() - interval '7 days'`))
	require.Equal(t, 2, count(`select count(*) from job_versions`))

	deleted, err := q.PurgeAudit(t.Context(), db.PurgeAuditParams{Days: 36500, MaxRows: 10})
	require.NoError(t, err)
	require.Zero(t, deleted)
}
