package policy

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/schedule"
)

// cronJob returns a job with a cron expression and an id of its own.
func cronJob(expression string) *db.Job {
	zone := "Europe/Berlin"
	return &db.Job{ID: uuid.Must(uuid.NewV7()), Cron: &expression, TimeZone: &zone}
}

func TestCronCache(t *testing.T) {
	t.Parallel()

	t.Run("jobs share an expression, unless it is spread, and always a zone", func(t *testing.T) {
		t.Parallel()
		c := cronCache{parsed: map[cronKey]schedule.Grid{}}
		for range 100 {
			for _, expression := range []string{"0 9 * * THU", "@monthly", "H 9 * * *"} {
				_, err := newSchedule(cronJob(expression), c.parse)
				require.NoError(t, err)
			}
		}
		require.Len(t, c.parsed, 1+1+100)
		one, err := LoadZone("Europe/Berlin")
		require.NoError(t, err)
		other, err := LoadZone("Europe/Berlin")
		require.NoError(t, err)
		require.Same(t, one, other)
	})

	t.Run("is bounded", func(t *testing.T) {
		t.Parallel()
		c := cronCache{parsed: map[cronKey]schedule.Grid{}}
		for seed := range uint64(maxCrons + 1000) {
			_, err := c.parse(cronKey{expression: "H * * * *", zone: "UTC", seed: seed})
			require.NoError(t, err)
		}
		require.Len(t, c.parsed, maxCrons)
	})

	t.Run("remembers no preview and nothing that is wrong", func(t *testing.T) {
		t.Parallel()
		job := cronJob("H 3 31 1 *")
		_, err := Preview(job)
		require.NoError(t, err)
		crons.mu.RLock()
		defer crons.mu.RUnlock()
		require.NotContains(t, crons.parsed, newCronKey(*job.Cron, *job.TimeZone, job.ID))
		_, err = LoadZone("Atlantis/Capital")
		require.Error(t, err)
		require.NotContains(t, zones.loaded, "Atlantis/Capital")
	})
}

// BenchmarkCronCache measures how much memory the cache takes for 100 000 jobs, each with an
// expression of its own: 10 MB. With a zone for each entry and room for all it took 286 MB.
func BenchmarkCronCache(b *testing.B) {
	for b.Loop() {
		c := cronCache{parsed: map[cronKey]schedule.Grid{}}
		before := heap()
		for n := range 100_000 {
			if _, err := c.parse(cronKey{expression: fmt.Sprintf("%d %d * * *", n%60, n/60%24), zone: "Europe/Berlin", seed: uint64(n)}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(heap()-before)/(1<<20), "MB")
		b.ReportMetric(float64(heap()-before)/float64(len(c.parsed)), "B/entry")
		runtime.KeepAlive(&c)
	}
}

// heap returns how many bytes are in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
