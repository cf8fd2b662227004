// Package stats counts runs that have ended, and how late and how long they were, over time.
//
// An instance counts in memory (Collector), and adds that to the table run_stats once a minute, so
// that a completion costs nothing more. What it has counted since then is lost if it dies. For a
// single job nothing is counted: its numbers are made of its stored runs (OfJob).
package stats

import "time"

// Step is how long each item of a series lasts.
type Step string

// The steps. Days are those of UTC.
const (
	Minute Step = "MINUTE"
	Hour   Step = "HOUR"
	Day    Step = "DAY"
)

// length returns how long the step lasts.
func (s Step) length() time.Duration {
	switch s {
	case Minute:
		return time.Minute
	case Hour:
		return time.Hour
	default:
		return 24 * time.Hour
	}
}

const (
	// MaxSteps is how many items a series has at most.
	MaxSteps = 1500
	// MinutesKept is how long minutes are kept at least before they become hours.
	MinutesKept = 48 * time.Hour
)

// Numbers are the runs of a time.
type Numbers struct {
	Succeeded, Failed, Canceled int64
	// Skipped is how many occurrences were not executed.
	Skipped int64
	// Lateness and Duration are nil if no run has begun. In milliseconds.
	Lateness, Duration *Quantiles
}

// Quantiles are bounds below which parts of the runs are, in milliseconds.
type Quantiles struct{ P50, P95, P99, Max float64 }

// Item is a step of a series.
type Item struct {
	StartsAt time.Time
	Numbers
}

// Series are the runs of a window.
type Series struct {
	Window
	Items  []Item
	Totals Numbers
}

// sum adds up the runs of a time. The zero value is empty.
type sum struct {
	succeeded, failed, canceled, skipped int64
	maxLateness                          time.Duration
	lateness, duration                   counts
}

// addTo adds the sum to another one, returns its numbers, and empties it.
func (s *sum) addTo(total *sum) Numbers {
	total.succeeded += s.succeeded
	total.failed += s.failed
	total.canceled += s.canceled
	total.skipped += s.skipped
	total.maxLateness = max(total.maxLateness, s.maxLateness)
	total.lateness.merge(&s.lateness)
	total.duration.merge(&s.duration)
	n := s.numbers()
	*s = sum{}
	return n
}

func (s *sum) numbers() Numbers {
	return Numbers{
		Succeeded: s.succeeded, Failed: s.failed, Canceled: s.canceled, Skipped: s.skipped,
		Lateness: s.lateness.quantiles(s.maxLateness), Duration: s.duration.quantiles(unknown),
	}
}

// series makes a series of a window. next returns the runs of the item that begins at an instant,
// added to a sum; it is called for each item, in the order of time.
func series(w Window, next func(s *sum, before time.Time)) Series {
	all := Series{Window: w, Items: make([]Item, 0, w.steps())}
	var step, total sum
	for at := w.From; at.Before(w.To); at = at.Add(w.Step.length()) {
		next(&step, at.Add(w.Step.length()))
		all.Items = append(all.Items, Item{at, step.addTo(&total)})
	}
	all.Totals = total.numbers()
	return all
}
