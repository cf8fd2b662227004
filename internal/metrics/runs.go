package metrics

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"punctual/gen/db"
	"punctual/internal/events"
	"punctual/internal/runs"
)

var (
	targets = []string{"log", "http", "worker"}
	// other stands for a type of target of a newer version.
	other    = "other"
	statuses = []db.RunStatus{
		db.RunStatusSUCCEEDED, db.RunStatusFAILED, db.RunStatusCANCELED, db.RunStatusSKIPPED,
	}
	triggers = []db.RunTrigger{
		db.RunTriggerSCHEDULE, db.RunTriggerMANUAL, db.RunTriggerBACKFILL, db.RunTriggerRETRY, db.RunTriggerEVENT,
	}
	skipReasons = []db.RunReason{
		db.RunReasonMISFIRE, db.RunReasonOVERLAP, db.RunReasonJOBPAUSED, db.RunReasonJOBDELETED, db.RunReasonEVENTDEPTH,
	}
)

// Runs measures runs: those that this instance executes, and those whose workers report to it. All
// series exist from the start, so that nothing is looked up by texts for each run.
type Runs struct {
	ofTarget map[string]*ofTarget
	skipped  map[db.RunReason]prometheus.Counter
	claims   map[runs.ClaimKind]claims
	// delay and the others are of completions.
	delay, took, size prometheus.Observer
	failed, retried   prometheus.Counter
}

var _ runs.Meter = (*Runs)(nil)

type ofTarget struct {
	lateness, duration prometheus.Observer
	ended              map[end]prometheus.Counter
}

type end struct {
	status  db.RunStatus
	trigger db.RunTrigger
}

type claims struct {
	took, size prometheus.Observer
	failed     prometheus.Counter
}

func newRuns(r *Registry) *Runs {
	m := &Runs{ofTarget: map[string]*ofTarget{}, skipped: map[db.RunReason]prometheus.Counter{}, claims: map[runs.ClaimKind]claims{}}
	lateness := r.nativeHistograms("punctual_run_lateness_seconds",
		"The start of attempt 1 minus the instant at which the run was due, or the end of the blackout that has held it. "+
			"Backfilled runs are left out. Runs of `worker` targets wait for their workers, and those of connections for limits.",
		[]float64{0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600}, "target")
	duration := r.nativeHistograms("punctual_run_duration_seconds",
		"From the start of attempt 1 to the end of the run, with the waits between its attempts. Runs without an attempt are left out.",
		[]float64{0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600}, "target")
	ended := r.counters("punctual_runs_total", "Runs that have ended and are stored.", "outcome", "trigger", "target")
	for _, target := range append([]string{other}, targets...) {
		of := &ofTarget{
			lateness: lateness.WithLabelValues(target), duration: duration.WithLabelValues(target),
			ended: map[end]prometheus.Counter{},
		}
		for _, status := range statuses {
			for _, trigger := range triggers {
				of.ended[end{status, trigger}] = ended.WithLabelValues(label(status), label(trigger), target)
			}
		}
		m.ofTarget[target] = of
	}
	skipped := r.counters("punctual_occurrences_skipped_total",
		"Occurrences that were not executed. Those that a pause has skipped are counted when the job goes on.", "reason")
	for _, reason := range skipReasons {
		m.skipped[reason] = skipped.WithLabelValues(label(reason))
	}
	m.addClaims(r)
	m.delay = r.histograms("punctual_completion_delay_seconds", "From the end of the run of a batch that ended first, until the batch is stored.", quick).WithLabelValues()
	m.took = r.histograms("punctual_completion_duration_seconds", "How long it takes to store a batch of ended runs.", quick).WithLabelValues()
	m.size = r.histograms("punctual_completion_batch_runs", "How many runs are stored together.", sizes).WithLabelValues()
	m.failed = r.counter("punctual_completion_failures_total", "Batches of ended runs that could not be stored. They are stored later.")
	m.retried = r.counter("punctual_attempts_retried_total", "Attempts that have failed and are followed by another.")
	return m
}

func (m *Runs) addClaims(r *Registry) {
	took := r.histograms("punctual_claim_duration_seconds",
		"How long a claim takes. The kinds are: runs that instances claim at once, runs of concurrency groups, of connections, and of workers.",
		quick, "kind")
	size := r.histograms("punctual_claim_batch_runs", "How many runs a claim takes, of claims that take any.", sizes, "kind")
	failed := r.counters("punctual_claim_failures_total", "Claims that failed. They are repeated.", "kind")
	for _, kind := range runs.ClaimKinds {
		m.claims[kind] = claims{
			took.WithLabelValues(string(kind)), size.WithLabelValues(string(kind)), failed.WithLabelValues(string(kind)),
		}
	}
}

// label returns a value of the schema's enumerations as a label.
func label[T ~string](value T) string { return strings.ToLower(string(value)) }

// of returns what measures the runs of a type of target.
func (m *Runs) of(target string) *ofTarget {
	if of, ok := m.ofTarget[target]; ok {
		return of
	}
	return m.ofTarget[other]
}

// Observe counts a run that has ended: see events.Observer.
func (m *Runs) Observe(_ *db.Job, target string, run events.Run) {
	of := m.of(target)
	if counter, ok := of.ended[end{run.Status, run.Trigger}]; ok {
		counter.Inc()
	}
	if late, ok := run.Lateness(); ok {
		of.lateness.Observe(late.Seconds())
	}
	if took, ok := run.Duration(); ok {
		of.duration.Observe(took.Seconds())
	}
	if run.Status == db.RunStatusSKIPPED {
		if counter, ok := m.skipped[run.Reason]; ok {
			counter.Add(float64(run.Occurrences))
		}
	}
}

// Stored implements runs.Meter.
func (m *Runs) Stored(batch runs.Batch, err error) {
	if err != nil {
		m.failed.Inc()
		return
	}
	m.took.Observe(batch.Took.Seconds())
	m.size.Observe(float64(batch.Runs))
	m.delay.Observe(batch.Delay.Seconds())
	m.retried.Add(float64(batch.Retried))
}

// Claimed implements runs.Meter.
func (m *Runs) Claimed(kind runs.ClaimKind, n int, took time.Duration, err error) {
	of := m.claims[kind]
	if err != nil {
		of.failed.Inc()
		return
	}
	of.took.Observe(took.Seconds())
	if n > 0 {
		of.size.Observe(float64(n))
	}
}
