package metrics_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/events"
	"punctual/internal/metrics"
)

func TestRuns(t *testing.T) {
	t.Parallel()
	r := metrics.New(metrics.Config{})
	due := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(seconds float64) time.Time { return due.Add(time.Duration(seconds * float64(time.Second))) }
	for _, run := range []events.Run{
		{Status: db.RunStatusSUCCEEDED, Trigger: db.RunTriggerSCHEDULE, StartedAt: at(0.003), FinishedAt: at(2.003)},
		{Status: db.RunStatusSUCCEEDED, Trigger: db.RunTriggerSCHEDULE, StartedAt: at(600), FinishedAt: at(600.5), HeldUntil: at(599.8)},
		{Status: db.RunStatusFAILED, Trigger: db.RunTriggerBACKFILL, StartedAt: at(7000), FinishedAt: at(7001)},
		{Status: db.RunStatusSKIPPED, Reason: db.RunReasonMISFIRE, Trigger: db.RunTriggerSCHEDULE, FinishedAt: at(90), Occurrences: 7},
	} {
		run.ScheduledFor = due
		r.Runs.Observe(nil, "http", run)
	}
	r.Runs.Observe(nil, "of a newer version", events.Run{Status: db.RunStatusCANCELED, Trigger: db.RunTriggerMANUAL, FinishedAt: due})

	scraped := scrape(t, r)
	requireValue(t, 2, scraped, `punctual_runs_total{outcome="succeeded",target="http",trigger="schedule"}`)
	requireValue(t, 1, scraped, `punctual_runs_total{outcome="failed",target="http",trigger="backfill"}`)
	requireValue(t, 1, scraped, `punctual_runs_total{outcome="canceled",target="other",trigger="manual"}`)
	requireValue(t, 7, scraped, `punctual_occurrences_skipped_total{reason="misfire"}`)
	requireValue(t, 2, scraped, `punctual_run_lateness_seconds_count{target="http"}`) // not the backfilled one
	requireValue(t, 1, scraped, `punctual_run_lateness_seconds_bucket{target="http",le="0.005"}`)
	requireValue(t, 0.203, scraped, `punctual_run_lateness_seconds_sum{target="http"}`)
	requireValue(t, 3, scraped, `punctual_run_duration_seconds_count{target="http"}`)
	requireValue(t, 3.5, scraped, `punctual_run_duration_seconds_sum{target="http"}`)
}

// A run is measured without memory being allocated for it.
func TestRuns_allocateNothing(t *testing.T) { // not parallel: it counts what all allocate
	of := metrics.New(metrics.Config{}).Runs
	run := events.Run{Status: db.RunStatusSUCCEEDED, Trigger: db.RunTriggerSCHEDULE, StartedAt: time.Now(), FinishedAt: time.Now(), ScheduledFor: time.Now()}
	of.Observe(nil, "log", run)
	require.Zero(t, testing.AllocsPerRun(1000, func() { of.Observe(nil, "log", run) }))
}

func BenchmarkRuns(b *testing.B) {
	of := metrics.New(metrics.Config{}).Runs
	due := time.Now()
	run := events.Run{Status: db.RunStatusSUCCEEDED, Trigger: db.RunTriggerSCHEDULE, ScheduledFor: due}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		run.StartedAt = due.Add(time.Duration(i%5000) * time.Microsecond)
		run.FinishedAt = run.StartedAt.Add(time.Duration(i%300) * time.Microsecond)
		of.Observe(nil, "log", run)
	}
}
