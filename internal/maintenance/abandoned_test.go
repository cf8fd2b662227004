package maintenance_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/lease"
	"punctual/internal/maintenance"
	"punctual/internal/runs"
	"punctual/internal/testdb"
)

// createLease takes a lease that nobody renews. If lasts is not positive, it has run out already.
func createLease(t *testing.T, q *db.Queries, lasts time.Duration) uuid.UUID {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	require.NoError(t, q.CreateLease(t.Context(), db.CreateLeaseParams{ID: id, Holder: "test", Duration: lasts}))
	return id
}

// holdRun claims a run under an instance's lease that nobody renews.
func holdRun(t *testing.T, q *db.Queries, lasts time.Duration) {
	t.Helper()
	now, err := q.DatabaseTime(t.Context())
	require.NoError(t, err)
	id := uuid.Must(uuid.NewV7())
	err = q.CreateJob(t.Context(), db.CreateJobParams{
		OnSkipped: db.OnSkippedDROP, AlertAfterFailures: 1,
		ID: id, Namespace: access.DefaultNamespace, Name: "held",
		Payload: []byte(`1`), Target: []byte(`{"type":"log"}`), SecretNames: []string{},
		RunAt: &now, CreatedAt: now, MaxAttempts: 3, AttemptDeadlineSeconds: 60,
		MisfirePolicy: db.MisfirePolicySKIP, OverlapPolicy: db.OverlapPolicySKIP, RunHistory: db.RunHistoryALL,
	})
	require.NoError(t, err)
	require.NoError(t, q.CreateFirst(t.Context(), db.CreateFirstParams{ID: id, ScheduledFor: now}))
	claimed, err := q.Claim(t.Context(), db.ClaimParams{Token: runs.NewToken(), LeaseID: createLease(t, q, lasts), MaxRows: 1})
	require.NoError(t, err)
	require.Len(t, claimed, 1, "the run is held")
}

// passes notes when each pass of the duty begins. A pass consists of one statement.
type passes struct {
	*pgxpool.Pool
	began chan time.Time
}

func (p passes) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	p.began <- time.Now()
	return p.Pool.QueryRow(ctx, sql, args...)
}

// runAbandoned runs the duty until the test ends. It returns when its passes begin, and a token for
// each pass that frees something.
func runAbandoned(t *testing.T, pool *pgxpool.Pool) (began <-chan time.Time, freed <-chan struct{}) {
	t.Helper()
	p, frees := passes{pool, make(chan time.Time, 100)}, make(chan struct{}, 100)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		maintenance.Abandoned(db.New(p), func() { frees <- struct{}{} }).Run(ctx, slog.New(slog.DiscardHandler))
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return p.began, frees
}

// abandonRuns stores so many runs that are held under a lease which has expired.
func abandonRuns(t *testing.T, pool *pgxpool.Pool, n int) {
	t.Helper()
	columns := testdb.Columns(t, pool, "jobs")
	_, err := pool.Exec(t.Context(), `
		insert into jobs (`+columns+`)
		select `+columns+`
		from generate_series(1, $1::integer) as i, jsonb_populate_record(null::jobs, jsonb_build_object(
			'id', '00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'), 'namespace', 'default', 'name', 'x', 'description', '', 'failures', 0, 'payload', '{}'::jsonb,
			'target', '{}'::jsonb, 'secret_names', '[]'::jsonb, 'run_at', now(),
			'jitter_seconds', 0, 'on_demand', false, 'on_skipped', 'DROP', 'alert_after_failures', 1, 'delete_after_completion', false, 'misfire_policy', 'SKIP', 'overlap_policy', 'SKIP',
			'max_attempts', 3, 'min_backoff_seconds', 0, 'max_backoff_seconds', 0, 'attempt_deadline_seconds', 1,
			'run_history', 'ALL', 'status', 'ACTIVE', 'run_count', 0, 'created_at', now(), 'version', 1,
			'updated_by', 'test', 'suspended', false, 'metrics', false, 'public_badge', false, 'paused_by_service', false, 'updated_at', now())) as job`, n)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `
		insert into due (job_id, scheduled_for, ready_at, carries_schedule, attempt, token, lease_id, started_at)
		select id, now(), now(), true, 1, 5, $1, now()
		from jobs`, createLease(t, db.New(pool), 0))
	require.NoError(t, err)
}

func TestAbandoned(t *testing.T) {
	t.Parallel()

	t.Run("frees runs when their lease runs out", func(t *testing.T) {
		t.Parallel()
		q, pool := setup(t)
		createLease(t, q, time.Hour)
		holdRun(t, q, 1200*time.Millisecond)
		began, freed := runAbandoned(t, pool)
		first := <-began
		<-freed
		require.Len(t, began, 1, "no more than the pass that learned when the lease runs out, and one then")
		require.Less(t, (<-began).Sub(first), 3*time.Second, "it does not wait for the longest time between two passes")
	})

	t.Run("looks no earlier because leases are renewed", func(t *testing.T) {
		t.Parallel()
		q, pool := setup(t)
		keeper := lease.NewKeeper(lease.Config{Queries: q}) // as long, and renewed as often, as an instance's
		_, err := keeper.Hold(t.Context())
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go keeper.Run(ctx)
		began, _ := runAbandoned(t, pool)
		first := <-began
		require.GreaterOrEqual(t, (<-began).Sub(first), 5*time.Second)
	})

	t.Run("frees many runs in parts, one soon after the other", func(t *testing.T) {
		t.Parallel()
		q, pool := setup(t)
		abandonRuns(t, pool, 6000)
		duty := maintenance.Abandoned(q, func() {})
		result, err := duty.Pass(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 5000, result.Count)
		require.Less(t, result.Next, time.Second)
		result, err = duty.Pass(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 1000, result.Count)
		require.GreaterOrEqual(t, result.Next, time.Second)
		var n int
		require.NoError(t, pool.QueryRow(t.Context(), `
			select count(*) from due where failed_attempts -> 0 ->> 'executedBy' = 'test'`).Scan(&n))
		require.Equal(t, 6000, n, "who held them is known of all")
		require.NoError(t, pool.QueryRow(t.Context(), "select count(*) from leases").Scan(&n))
		require.Zero(t, n)
	})

	t.Run("forgets many expired leases in parts", func(t *testing.T) {
		t.Parallel()
		q, pool := setup(t)
		_, err := pool.Exec(t.Context(), `
			insert into leases (id, holder, expires_at, queue, duration, job_ids, scheduled_fors)
			select gen_random_uuid(), 'test', now(), 'default/q', '1 minute', '{}', '{}' from generate_series(1, 600)`)
		require.NoError(t, err)
		duty := maintenance.Abandoned(q, func() { t.Error("nothing was held") })
		for _, left := range []int{100, 0} {
			result, err := duty.Pass(t.Context())
			require.NoError(t, err)
			require.Equal(t, left > 0, result.Next < time.Second)
			var n int
			require.NoError(t, pool.QueryRow(t.Context(), "select count(*) from leases").Scan(&n))
			require.Equal(t, left, n)
		}
	})

	for name, c := range map[string]struct {
		leases           []time.Duration
		minNext, maxNext time.Duration
	}{
		"none is left":           {nil, 5 * time.Second, 5 * time.Second},
		"the soonest counts":     {[]time.Duration{time.Hour, 4 * time.Second, time.Minute}, 2 * time.Second, 4 * time.Second},
		"none runs out for long": {[]time.Duration{time.Hour, time.Minute}, 5 * time.Second, 5 * time.Second},
		"one is about to":        {[]time.Duration{time.Hour, 900 * time.Millisecond}, time.Second, time.Second},
		"one has run out":        {[]time.Duration{time.Hour, -time.Second}, 5 * time.Second, 5 * time.Second},
	} {
		t.Run("looks again when "+name, func(t *testing.T) {
			t.Parallel()
			q, _ := setup(t)
			for _, lasts := range c.leases {
				createLease(t, q, lasts)
			}
			result, err := maintenance.Abandoned(q, func() { t.Error("nothing was held") }).Pass(t.Context())
			require.NoError(t, err)
			require.GreaterOrEqual(t, result.Next, c.minNext)
			require.LessOrEqual(t, result.Next, c.maxNext)
		})
	}
}
