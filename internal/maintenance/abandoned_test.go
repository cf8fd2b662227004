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
	"punctual/internal/lease"
	"punctual/internal/maintenance"
	"punctual/internal/runs"
)

// createLease takes a lease that nobody renews. Not more than nothing: one that has run out.
func createLease(t *testing.T, q *db.Queries, lasts time.Duration) uuid.UUID {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	require.NoError(t, q.CreateLease(t.Context(), db.CreateLeaseParams{ID: id, Holder: "test", Duration: lasts}))
	return id
}

// holdRun has an instance claim a run, under a lease that nobody renews.
func holdRun(t *testing.T, q *db.Queries, lasts time.Duration) {
	t.Helper()
	now, err := q.DatabaseTime(t.Context())
	require.NoError(t, err)
	_, err = q.CreateJob(t.Context(), db.CreateJobParams{
		ID: uuid.Must(uuid.NewV7()), Name: "held", Payload: []byte(`1`), Target: []byte(`{"type":"log"}`), SecretNames: []string{},
		RunAt: &now, CreatedAt: now, ScheduledFor: now, MaxAttempts: 3, AttemptDeadlineSeconds: 60,
		MisfirePolicy: db.MisfirePolicySKIP, OverlapPolicy: db.OverlapPolicySKIP, RunHistory: db.RunHistoryALL,
	})
	require.NoError(t, err)
	claimed, err := q.Claim(t.Context(), db.ClaimParams{Token: runs.NewToken(), LeaseID: createLease(t, q, lasts), MaxRows: 1})
	require.NoError(t, err)
	require.Len(t, claimed, 1, "the run is held")
}

// passes notes when each pass of the duty begins, by the one statement that it consists of.
type passes struct {
	*pgxpool.Pool
	began chan time.Time
}

func (p passes) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	p.began <- time.Now()
	return p.Pool.QueryRow(ctx, sql, args...)
}

// runAbandoned runs the duty until the test ends, and returns when its passes begin, and a token for each that frees something.
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

func TestAbandonedRunsAreFreedWhenTheirLeaseRunsOut(t *testing.T) {
	t.Parallel()
	q, pool := setup(t)
	createLease(t, q, time.Hour)
	holdRun(t, q, 1200*time.Millisecond)
	began, freed := runAbandoned(t, pool)
	first := <-began
	<-freed
	require.Len(t, began, 1, "no more than the pass that learned when the lease runs out, and one then")
	require.Less(t, (<-began).Sub(first), 3*time.Second, "it does not wait for the longest time between two passes")
}

func TestRenewedLeasesBringNoPassForward(t *testing.T) {
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
	require.GreaterOrEqual(t, (<-began).Sub(first), 5*time.Second, "an idle instance asks no more than it has to")
}

func TestNextLookForAbandonedRuns(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		leases      []time.Duration
		least, most time.Duration
	}{
		"none is left":           {nil, 5 * time.Second, 5 * time.Second},
		"the soonest counts":     {[]time.Duration{time.Hour, 4 * time.Second, time.Minute}, 2 * time.Second, 4 * time.Second},
		"none runs out for long": {[]time.Duration{time.Hour, time.Minute}, 5 * time.Second, 5 * time.Second},
		"one is about to":        {[]time.Duration{time.Hour, 900 * time.Millisecond}, time.Second, time.Second},
		"one has run out":        {[]time.Duration{time.Hour, -time.Second}, 5 * time.Second, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q, _ := setup(t)
			for _, lasts := range c.leases {
				createLease(t, q, lasts)
			}
			result, err := maintenance.Abandoned(q, func() { t.Error("nothing was held") }).Pass(t.Context())
			require.NoError(t, err)
			require.GreaterOrEqual(t, result.Next, c.least)
			require.LessOrEqual(t, result.Next, c.most)
		})
	}
}
