package stats_test

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/database"
	"punctual/internal/events"
	"punctual/internal/labels"
	"punctual/internal/stats"
	"punctual/internal/testdb"
)

func setup(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := database.Open(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

var (
	system = access.System(access.DefaultNamespace)
	plain  = db.Job{Namespace: access.DefaultNamespace}
)

// run returns a run that succeeded.
func run(now time.Time, late, took time.Duration) events.Run {
	return events.Run{
		Status: db.RunStatusSUCCEEDED, Trigger: db.RunTriggerSCHEDULE, Occurrences: 1, ScheduledFor: now.Add(-late - took),
		StartedAt: now.Add(-took), FinishedAt: now, Attempt: 1,
	}
}

// Instances add to the same numbers at once, and nothing is lost.
func TestCollectorsAddUp(t *testing.T) {
	t.Parallel()
	pool := setup(t)
	now, err := db.New(pool).DatabaseTime(t.Context())
	require.NoError(t, err)
	labeled := plain
	labeled.Labels = labels.Set{"team": "a", "env": ""}
	const instances, rounds = 4, 20
	failures := make(chan error, instances*rounds)
	var all sync.WaitGroup
	for range instances {
		c := stats.NewCollector(db.New(pool))
		all.Go(func() {
			for i := range rounds {
				c.Observe(&plain, "log", run(now, time.Duration(i)*time.Millisecond, time.Second))
				c.Observe(&labeled, "http", run(now, time.Minute, 2*time.Second))
				failures <- c.Flush(t.Context())
			}
		})
	}
	all.Wait()
	close(failures)
	for err := range failures {
		require.NoError(t, err)
	}
	read := func(label string) stats.Numbers {
		got, isComplete, err := stats.NewReader(pool).OfNamespace(t.Context(), system, stats.Asked{}, stats.Filter{Label: label})
		require.NoError(t, err)
		require.True(t, isComplete)
		require.Equal(t, got.Totals, got.Items[len(got.Items)-1].Numbers, "all ended in this minute")
		return got.Totals
	}
	got := read("")
	require.EqualValues(t, 2*instances*rounds, got.Succeeded)
	require.InEpsilon(t, 19, got.Lateness.P50, 0.04)
	require.InEpsilon(t, 60_000, got.Lateness.P95, 0.04)
	require.InEpsilon(t, 60_000, got.Lateness.Max, 1e-9)
	require.InEpsilon(t, 1000, got.Duration.P50, 0.04)
	require.InEpsilon(t, 2000, got.Duration.P99, 0.04)
	for _, label := range []string{"team=a", "env="} {
		require.EqualValues(t, instances*rounds, read(label).Succeeded, label)
	}
}

// The labels of a minute are bounded, and what is left out is told to who asks by label.
func TestCollectorBoundsLabels(t *testing.T) {
	t.Parallel()
	pool := setup(t)
	now, err := db.New(pool).DatabaseTime(t.Context())
	require.NoError(t, err)
	c := stats.NewCollector(db.New(pool))
	for i := range 1003 {
		job := plain
		job.Labels = labels.Set{"id": strconv.Itoa(i)}
		c.Observe(&job, "log", run(now, 0, time.Second))
	}
	gone := plain
	gone.Namespace = "gone"
	c.Observe(&gone, "log", run(now, 0, time.Second))
	require.NoError(t, c.Flush(t.Context()))
	require.NoError(t, c.Flush(t.Context()), "nothing is left")

	for label, want := range map[string]struct {
		runs       int64
		isComplete bool
	}{"": {1003, true}, "id=0": {1, false}, "id=999": {1, false}, "id=1000": {0, false}} {
		got, isComplete, err := stats.NewReader(pool).OfNamespace(t.Context(), system, stats.Asked{}, stats.Filter{Label: label})
		require.NoError(t, err)
		require.Equal(t, want.runs, got.Totals.Succeeded, label)
		require.Equal(t, want.isComplete, isComplete, label)
	}
}

// What cannot be added is kept.
func TestCollectorKeeps(t *testing.T) {
	t.Parallel()
	pool := setup(t)
	now, err := db.New(pool).DatabaseTime(t.Context())
	require.NoError(t, err)
	c := stats.NewCollector(db.New(pool))
	_, err = pool.Exec(t.Context(), "alter table run_stats rename to elsewhere")
	require.NoError(t, err)
	for range 2 {
		c.Observe(&plain, "log", run(now, 0, time.Second))
		require.Error(t, c.Flush(t.Context()))
	}
	_, err = pool.Exec(t.Context(), "alter table elsewhere rename to run_stats")
	require.NoError(t, err)
	require.NoError(t, c.Flush(t.Context()))
	got, _, err := stats.NewReader(pool).OfNamespace(t.Context(), system, stats.Asked{}, stats.Filter{})
	require.NoError(t, err)
	require.EqualValues(t, 2, got.Totals.Succeeded)
}

// To count a run allocates nothing in the long run.
func TestCollectorAllocatesNothing(t *testing.T) { //nolint:paralleltest // others would allocate
	c := stats.NewCollector(nil)
	now := time.Now()
	job := plain
	job.Labels = labels.Set{"team": "a", "env": "prod"}
	observe := func() {
		for i := range 10 {
			c.Observe(&job, "http", run(now, time.Duration(i)*time.Millisecond, time.Second))
		}
	}
	observe()
	require.Zero(t, testing.AllocsPerRun(1000, observe))
}

func BenchmarkObserve(b *testing.B) {
	c := stats.NewCollector(nil)
	now := time.Now()
	labeled := plain
	labeled.Labels = labels.Set{"team": "a", "env": "prod"}
	for name, job := range map[string]*db.Job{"plain": &plain, "labels": &labeled} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c.Observe(job, "http", run(now, time.Duration(i%20)*100*time.Microsecond, time.Duration(i%50)*time.Millisecond))
			}
		})
	}
}
