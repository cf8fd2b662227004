package runs_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/database"
	"punctual/internal/testdb"
)

// limitedClaim is how long a claim within the limits of a connection may take, with 5,000 rows that
// wait: it keeps other instances from the connection.
const limitedClaim = 20 * time.Millisecond

// What a claim within the limits of connections reads is bounded, however much else is due, and
// whether one job has thousands of rows or each of thousands of jobs has one.
func TestPlansOfConnections(t *testing.T) {
	t.Parallel()
	pool, err := database.Open(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	ctx := t.Context()
	exec := func(sql string, args ...any) {
		t.Helper()
		_, err := pool.Exec(ctx, sql, args...)
		require.NoError(t, err)
	}
	fill(t, pool, 105_000)
	many, one := uuid.New(), uuid.New()
	for key, id := range map[string]uuid.UUID{"many": many, "one": one} {
		exec(`insert into connections (id, namespace, key, base_url, definition, max_concurrency, max_per_second, is_adaptive, updated_by)
			values ($1, 'default', $2, 'https://example.com', '{}', 100, 50, true, 'test')`, id, key)
	}
	exec(`update jobs set target = '{"type":"http","connection":"many"}' where id in (select id from jobs limit 5000)`)
	exec(`update due set queue = 'default/=many', awaits_worker = true
		where job_id in (select id from jobs where target ->> 'connection' = 'many')`)
	exec(`insert into due (job_id, scheduled_for, ready_at, carries_schedule, trigger, queue, awaits_worker)
		select (select id from jobs limit 1), now() - n * interval '1 second', now() - n * interval '1 second', false, 'MANUAL', 'default/=one', true
		from generate_series(1, 5000) n`)
	queries := db.New(pool)
	lease := db.CreateLeaseParams{ID: uuid.New(), Holder: "test", Duration: time.Hour}
	require.NoError(t, queries.CreateLease(ctx, lease))
	names := []string{"default/=many", "default/=one"}
	_, err = queries.AddConnectionStates(ctx)
	require.NoError(t, err)
	locked, err := queries.LockLimited(ctx, names)
	require.NoError(t, err)
	require.Len(t, locked, 2)
	params := db.ClaimLimitedParams{
		ConnectionIds: []uuid.UUID{many}, Queues: names[:1], Token: 1, LeaseID: lease.ID, MaxRows: 500, Ahead: 800 * time.Millisecond,
	}
	began := time.Now()
	claimed, err := queries.ClaimLimited(ctx, params)
	require.NoError(t, err)
	require.Len(t, claimed, 41, "50 a second, until 800 ms from now")
	require.Less(t, time.Since(began), 100*limitedClaim, "while PostgreSQL does not know yet that there are such rows")
	exec(`update connection_states set next_start_at = '-infinity'`)
	exec(`vacuum analyze due`)
	exec(`vacuum analyze jobs`)
	listed, err := queries.ListLimited(ctx, db.ListLimitedParams{MaxRows: 10})
	require.NoError(t, err)
	require.Len(t, listed, 2)

	for key, c := range map[string]struct {
		id uuid.UUID
		// most is how many rows the claim may visit: those that it looks at, and a few for each run.
		most int
	}{"many": {many, 1000 + 500}, "one": {one, 5000 + 500}} {
		params.ConnectionIds, params.Queues = []uuid.UUID{c.id}, []string{"default/=" + key}
		var claiming, next, listing capture
		_, err = db.New(&claiming).ClaimLimited(ctx, params)
		require.ErrorIs(t, err, errCaptured)
		_, err = db.New(&next).NextLimited(ctx, db.NextLimitedParams{ConnectionIds: params.ConnectionIds, Queues: params.Queues})
		require.ErrorIs(t, err, errCaptured)
		_, err = db.New(&listing).ListLimited(ctx, db.ListLimitedParams{MaxRows: 1000})
		require.ErrorIs(t, err, errCaptured)
		conn, err := pool.Acquire(ctx)
		require.NoError(t, err)
		defer conn.Release()
		for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
			requireLimitedBounded(t, explain(t, conn.Conn(), &claiming, mode), c.most, "ClaimLimited of "+key+", "+mode)
			requireLimitedBounded(t, explain(t, conn.Conn(), &next, mode), 300, "NextLimited of "+key+", "+mode)
			requireLimitedBounded(t, explain(t, conn.Conn(), &listing, mode), 20, "ListLimited, "+mode)
		}
		var fastest time.Duration
		for range 10 {
			began := time.Now()
			_, err := queries.ClaimLimited(ctx, params)
			took := time.Since(began)
			require.NoError(t, err)
			if fastest == 0 || took < fastest {
				fastest = took
			}
			exec(`update connection_states set next_start_at = '-infinity'`)
		}
		t.Log(key, "claimed in", fastest)
		require.Less(t, fastest, limitedClaim)
	}
}

// requireLimitedBounded is requireBounded, where connections may be read whole: they are few.
func requireLimitedBounded(t *testing.T, plan node, most int, name string) {
	t.Helper()
	visited := 0.0
	plan.walk(func(n node) {
		if n.Relation != "due" && n.Relation != "jobs" {
			return
		}
		require.NotEqual(t, "Seq Scan", n.Type, "%s reads all of %s", name, n.Relation)
		visited += (n.Rows + n.Removed) * max(n.Loops, 1)
	})
	require.LessOrEqual(t, visited, float64(most), "rows that %s visits", name)
}

// What it takes to give places in a concurrency group is bounded, however many runs wait in it.
func TestPlansOfGroups(t *testing.T) {
	t.Parallel()
	pool, err := database.Open(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	ctx := t.Context()
	exec := func(sql string, args ...any) {
		t.Helper()
		_, err := pool.Exec(ctx, sql, args...)
		require.NoError(t, err)
	}
	fill(t, pool, 105_000)
	exec(`update jobs set concurrency_group = 'many', max_concurrency = 100 where id in (select id from jobs limit 100000)`)
	exec(`update due d set queue = j.first_queue, concurrency_group = j.first_queue, awaits_worker = true
		from jobs j where j.id = d.job_id and j.first_queue is not null`)
	exec(`insert into due (job_id, scheduled_for, ready_at, carries_schedule, trigger, queue, concurrency_group, awaits_worker)
		select (select id from jobs where first_queue is not null limit 1), now() - n * interval '1 ms', now() - n * interval '1 ms', false, 'MANUAL',
			'default/=~many', 'default/=~many', true
		from generate_series(1, 10000) n`)
	exec(`vacuum analyze due`)
	exec(`vacuum analyze jobs`)
	queries := db.New(pool)
	params := db.GivePlacesParams{Queues: []string{"default/=~many"}, Ahead: 400 * time.Millisecond}
	var giving, next capture
	_, err = db.New(&giving).GivePlaces(ctx, params)
	require.ErrorIs(t, err, errCaptured)
	_, err = db.New(&next).NextGrouped(ctx, params.Queues)
	require.ErrorIs(t, err, errCaptured)
	conn, err := pool.Acquire(ctx)
	require.NoError(t, err)
	defer conn.Release()
	for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
		requireLimitedBounded(t, explain(t, conn.Conn(), &giving, mode), 500+500+1000+7*100, "GivePlaces, "+mode)
		requireLimitedBounded(t, explain(t, conn.Conn(), &next, mode), 100, "NextGrouped, "+mode)
	}
	for _, taken := range []bool{false, true} {
		var fastest time.Duration
		for range 10 {
			began := time.Now()
			given, err := queries.GivePlaces(ctx, params)
			took := time.Since(began)
			require.NoError(t, err)
			require.Equal(t, !taken, len(given) == 1 && given[0].Runs == 100)
			if fastest == 0 || took < fastest {
				fastest = took
			}
			if !taken {
				exec(`update due set awaits_worker = true where not awaits_worker and queue = 'default/=~many'`)
			}
		}
		t.Log("gave places in", fastest, "when all are taken:", taken)
		require.Less(t, fastest, limitedClaim)
		exec(`update due set awaits_worker = false where (job_id, scheduled_for) in (
			select job_id, scheduled_for from due where queue = 'default/=~many' limit 100)`)
	}
}
