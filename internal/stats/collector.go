package stats

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"punctual/gen/db"
	"punctual/internal/events"
)

const (
	// maxLabels is how many labels of the runs of a namespace are counted in a minute. It bounds
	// the rows that a namespace with a label for each job makes.
	maxLabels = 1000
	// rowsPerBatch is how many rows one statement adds at most.
	rowsPerBatch = 10_000
	// maxKept is how many batches are kept while they cannot be added: an hour, as a rule.
	maxKept = 60
)

// Collector counts the runs that this instance stores. Make it with NewCollector. Safe for
// concurrent use.
type Collector struct {
	queries *db.Queries

	mu      sync.Mutex
	minutes map[minuteKey]*minute
	// spare are cells to be used again, so that counting allocates nothing in the long run.
	spare []*cell

	flushing sync.Mutex
	// kept are the rows that are to be added, in batches without two rows of one key. Only who holds
	// flushing uses it.
	kept [][]row
}

// NewCollector returns a Collector that has counted nothing.
func NewCollector(q *db.Queries) *Collector {
	return &Collector{queries: q, minutes: map[minuteKey]*minute{}}
}

type minuteKey struct {
	namespace string
	// minute counts from 1970.
	minute int64
}

// minute are the runs of a namespace that ended in a minute.
type minute struct {
	cells map[cellKey]*cell
	// labels are those that are counted.
	labels map[label]bool
}

type label struct{ name, value string }

// cellKey is what runs are told apart by. The empty label stands for all runs.
type cellKey struct {
	label   label
	trigger db.RunTrigger
	target  string
}

// cell are runs that are not told apart.
type cell struct {
	tally
	lateness, duration histogram
}

type tally struct {
	succeeded, failed, canceled, skipped, labelsLeftOut int64
	maxLateness                                         time.Duration
}

// Observe counts a run that has ended and is stored. It is an events.Observer.
func (c *Collector) Observe(job *db.Job, target string, run events.Run) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.minuteOf(minuteKey{job.Namespace, run.FinishedAt.Unix() / 60})
	key := cellKey{trigger: run.Trigger, target: target}
	all := c.cellOf(m, key)
	all.add(&run)
	for name, value := range job.Labels {
		key.label = label{name, value}
		if !m.labels[key.label] {
			if len(m.labels) == maxLabels {
				all.labelsLeftOut++
				continue
			}
			m.labels[key.label] = true
		}
		c.cellOf(m, key).add(&run)
	}
}

func (c *Collector) minuteOf(key minuteKey) *minute {
	m := c.minutes[key]
	if m == nil {
		m = &minute{cells: map[cellKey]*cell{}, labels: map[label]bool{}}
		c.minutes[key] = m
	}
	return m
}

func (c *Collector) cellOf(m *minute, key cellKey) *cell {
	if found := m.cells[key]; found != nil {
		return found
	}
	made := new(cell)
	if last := len(c.spare) - 1; last >= 0 {
		made, c.spare = c.spare[last], c.spare[:last]
	}
	m.cells[key] = made
	return made
}

func (c *cell) add(run *events.Run) {
	switch run.Status {
	case db.RunStatusSUCCEEDED:
		c.succeeded++
	case db.RunStatusFAILED:
		c.failed++
	case db.RunStatusCANCELED:
		c.canceled++
	case db.RunStatusSKIPPED:
		c.skipped += run.Occurrences
	}
	if late, ok := run.Lateness(); ok {
		c.lateness.add(late)
		c.maxLateness = max(c.maxLateness, late)
	}
	if took, ok := run.Duration(); ok {
		c.duration.add(took)
	}
}

// row is a row of run_stats that is to be added.
type row struct {
	minuteKey
	cellKey
	tally
	lateness, duration string // arrays
}

// flushWithin bounds adding a batch.
const flushWithin = 5 * time.Second

// Flush adds what was counted since the last call to the table, also if ctx ends meanwhile. What it
// cannot add, it keeps for the next call. If the database fails in the very moment in which it
// commits, the next call may add the same once more.
func (c *Collector) Flush(ctx context.Context) error {
	c.flushing.Lock()
	defer c.flushing.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushWithin)
	defer cancel()
	c.kept = slices.AppendSeq(c.kept, slices.Chunk(c.take(), rowsPerBatch))
	if len(c.kept) > maxKept {
		c.kept = slices.Delete(c.kept, 0, len(c.kept)-maxKept)
	}
	for len(c.kept) > 0 {
		if err := c.queries.AddRunStats(ctx, params(c.kept[0])); err != nil {
			return fmt.Errorf("add what was counted of runs: %w", err)
		}
		c.kept = slices.Delete(c.kept, 0, 1)
	}
	return nil
}

// take returns what was counted, and begins anew.
func (c *Collector) take() []row {
	c.mu.Lock()
	taken := c.minutes
	c.minutes = map[minuteKey]*minute{}
	c.mu.Unlock()
	var rows []row
	var spare []*cell
	var text []byte
	for at, m := range taken {
		for key, cell := range m.cells {
			one := row{minuteKey: at, cellKey: key, tally: cell.tally}
			text = cell.lateness.stored(text[:0])
			one.lateness = string(text)
			text = cell.duration.stored(text[:0])
			one.duration = string(text)
			rows, spare = append(rows, one), append(spare, cell)
			cell.empty()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spare = spare // no more than are used in the time between two calls
	return rows
}

// empty makes a cell fit to be used again.
func (c *cell) empty() { *c = cell{lateness: c.lateness[:0], duration: c.duration[:0]} }

func params(rows []row) (p db.AddRunStatsParams) {
	for i := range rows {
		r := &rows[i]
		p.Namespaces = append(p.Namespaces, r.namespace)
		p.Labels = append(p.Labels, r.label.String())
		p.StartsAts = append(p.StartsAts, time.Unix(r.minute*60, 0))
		p.Triggers = append(p.Triggers, string(r.trigger))
		p.TargetTypes = append(p.TargetTypes, r.target)
		p.Succeeded = append(p.Succeeded, r.succeeded)
		p.Failed = append(p.Failed, r.failed)
		p.Canceled = append(p.Canceled, r.canceled)
		p.Skipped = append(p.Skipped, r.skipped)
		p.LabelsLeftOut = append(p.LabelsLeftOut, r.labelsLeftOut)
		p.MaxLatenesses = append(p.MaxLatenesses, r.maxLateness.Microseconds())
		p.Latenesses = append(p.Latenesses, r.lateness)
		p.Durations = append(p.Durations, r.duration)
	}
	return p
}

func (l label) String() string {
	if l.name == "" {
		return ""
	}
	return l.name + "=" + l.value
}
