package maintenance_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/internal/maintenance"
)

// count reads a number.
func count(t *testing.T, pool *pgxpool.Pool, sql string) (n int) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(), sql).Scan(&n))
	return n
}

// addStats adds numbers of each minute that begins within so many hours before so many hours ago.
func addStats(t *testing.T, pool *pgxpool.Pool, namespace string, hoursAgo, hours int) {
	t.Helper()
	_, err := pool.Exec(t.Context(), `
		insert into run_stats (
			namespace, label, starts_at, trigger, target_type, succeeded, failed, canceled, skipped, labels_left_out, max_lateness,
			lateness, duration
		)
		select $1, label, date_trunc('hour', now(), 'UTC') - make_interval(hours => $2) - make_interval(mins => n), 'SCHEDULE', 'http',
			3, 2, 1, 4, 0, n, array[(7::bigint << 40) + 2, (8::bigint << 40) + 1, (7::bigint << 40) + 1], '{}'
		from generate_series(1, 60 * $3::integer) as n, unnest(array['', 'team=a']) as label`, namespace, hoursAgo, hours)
	require.NoError(t, err)
}

// Minutes become hours when they are two days old, and nothing is counted twice.
func TestCoarsenStats(t *testing.T) {
	t.Parallel()
	_, pool := setup(t)
	addNamespace(t, pool, "a", nil)
	for _, namespace := range []string{"default", "a"} {
		addStats(t, pool, namespace, 0, 3)
		addStats(t, pool, namespace, 48, 5)
	}
	duty := maintenance.CoarsenStats(pool, 30)
	const instances = 4
	done := make(chan int64, instances)
	for range instances {
		go func() {
			result, err := duty.Pass(t.Context())
			if err != nil {
				result.Count = -1
			}
			done <- result.Count
		}()
	}
	var all int64
	for range instances {
		all += <-done
	}
	require.EqualValues(t, 2*2*5*60, all, "each minute becomes a part of an hour once")
	require.Equal(t, 2*2*3*60, count(t, pool, "select count(*) from run_stats where not is_hour"))
	require.Equal(t, 2*2*5, count(t, pool, "select count(*) from run_stats where is_hour"))
	require.Equal(t, 2*2*5, count(t, pool, `select count(*) from run_stats where is_hour and starts_at = date_trunc('hour', starts_at, 'UTC')
		and (succeeded, failed, canceled, skipped) = (180, 120, 60, 240) and max_lateness % 60 = 0
		and (select sum(e & 1099511627775) from unnest(lateness) e where e >> 40 = 7) = 180
		and (select sum(e & 1099511627775) from unnest(lateness) e where e >> 40 = 8) = 60`))

	addStats(t, pool, "a", 48, 1) // an instance was late with them
	result, err := duty.Pass(t.Context())
	require.NoError(t, err)
	require.Equal(t, maintenance.Result{Count: 2 * 60}, result)
	require.Equal(t, 2, count(t, pool, "select count(*) from run_stats where is_hour and succeeded = 360"))
}

// Hours are kept as long as the runs of their namespace.
func TestCoarsenStatsDeletes(t *testing.T) {
	t.Parallel()
	_, pool := setup(t)
	addNamespace(t, pool, "short", new(3))
	for _, namespace := range []string{"default", "short"} {
		addStats(t, pool, namespace, 4*24, 1)
		addStats(t, pool, namespace, 11*24, 2)
	}
	pass := func(days int) int {
		t.Helper()
		_, err := maintenance.CoarsenStats(pool, days).Pass(t.Context())
		require.NoError(t, err)
		return count(t, pool, "select count(*) from run_stats")
	}
	require.Equal(t, 2*3, pass(0), "a namespace keeps them for three days, and the others for ever")
	require.Equal(t, 2*3, pass(30))
	require.Equal(t, 2*1, pass(10))
	require.Equal(t, 2, count(t, pool, "select count(*) from run_stats where namespace = 'default' and starts_at > now() - interval '5 days'"))
}
