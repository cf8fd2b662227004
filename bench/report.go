package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
)

// Report holds all results. Times are in milliseconds.
type Report struct {
	Machine    Machine      `json:"machine"`
	Throughput []Throughput `json:"throughput,omitempty"`
	Lateness   []Lateness   `json:"lateness,omitempty"`
	Many       []Many       `json:"instances,omitempty"`
	API        []Requests   `json:"api,omitempty"`
	Stored     []Stored     `json:"stored,omitempty"`
	Found      []Found      `json:"found,omitempty"`
	Idle       *Idle        `json:"idle,omitempty"`
	Waiting    *Waiting     `json:"waiting,omitempty"`
	ClaimCost  []ClaimCost  `json:"claimCost,omitempty"`
	Checks     []Check      `json:"checks"`
}

// Machine describes where it was measured.
type Machine struct {
	CPUs              int    `json:"cpus"`
	Go                string `json:"go"`
	PostgreSQL        string `json:"postgresql"`
	Fsync             string `json:"fsync"`
	SynchronousCommit string `json:"synchronousCommit"`
	SharedBuffers     string `json:"sharedBuffers"`
}

// Throughput says how fast a backlog was worked off, in the round with the median speed.
type Throughput struct {
	Name              string         `json:"name"`
	RunsPerSecond     float64        `json:"runsPerSecond"`
	Slowest           float64        `json:"slowest"`
	Fastest           float64        `json:"fastest"`
	WALBytesPerRun    float64        `json:"walBytesPerRun"`
	AllocationsPerRun float64        `json:"allocationsPerRun,omitempty"` // of this process
	AllocatedPerRun   float64        `json:"allocatedBytesPerRun,omitempty"`
	CPUPerRun         float64        `json:"cpuMicrosecondsPerRun,omitempty"`
	Statements        map[string]int `json:"statements,omitempty"`
}

// Lateness says how long after their instants runs began.
type Lateness struct {
	Name                  string             `json:"name"`
	Runs                  int                `json:"runs"`
	RunsPerSecond         float64            `json:"runsPerSecond"`
	Left                  int                `json:"left"` // runs that were due in the measured time and had not ended a second later
	P50                   float64            `json:"p50"`
	P99                   float64            `json:"p99"`
	Max                   float64            `json:"max"`
	Min                   float64            `json:"min"`
	CPUPerRun             float64            `json:"cpuMicrosecondsPerRun,omitempty"` // of this process
	TransactionsPerSecond float64            `json:"transactionsPerSecond"`
	StatementsPerSecond   map[string]float64 `json:"statementsPerSecond,omitempty"`
}

// Idle says what an instance asks of the database if nothing is due.
type Idle struct {
	Jobs                int                `json:"jobs"`
	QueriesPerSecond    float64            `json:"queriesPerSecond"`
	StatementsPerSecond map[string]float64 `json:"statementsPerSecond"`
}

// Waiting says what an instance asks of the database if workers wait and nothing is due.
type Waiting struct {
	Workers               int     `json:"workers"`
	Queues                int     `json:"queues"`
	Answers               int     `json:"answers"` // without a run; each of these workers asks again
	TransactionsPerSecond float64 `json:"transactionsPerSecond"`
	CPUs                  float64 `json:"cpus"` // kept busy by this process: the instance and the workers
}

// ClaimCost is the median time of a claim and a completion of a batch of 500, with their pages in
// shared memory.
type ClaimCost struct {
	Name      string  `json:"name"`
	Jobs      int     `json:"jobs"`
	Claim     float64 `json:"claim"`
	Complete  float64 `json:"complete"`
	ClaimCold float64 `json:"claimCold"`         // with the pages wherever they were
	Explain   string  `json:"explain,omitempty"` // the plan of a claim that costs too much
}

// Check is a number with a required limit.
type Check struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Limit string  `json:"limit"`
	OK    bool    `json:"ok"`
}

// medianThroughput returns the round of median speed, with the speeds of the slowest and the
// fastest.
func medianThroughput(all []Throughput) Throughput {
	slices.SortFunc(all, func(a, b Throughput) int { return cmp.Compare(a.RunsPerSecond, b.RunsPerSecond) })
	t := all[len(all)/2]
	t.Slowest, t.Fastest = all[0].RunsPerSecond, all[len(all)-1].RunsPerSecond
	return t
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func (r *Report) atLeast(name string, value, limit float64) {
	r.Checks = append(r.Checks, Check{name, value, fmt.Sprintf(">= %g", limit), value >= limit})
}

func (r *Report) atMost(name string, value, limit float64) {
	r.Checks = append(r.Checks, Check{name, value, fmt.Sprintf("<= %g", limit), value <= limit})
}

// checkThroughput compares the contestants within each round, since the machine is shared with
// others and its speed changes. The median of the ratios counts.
func (r *Report) checkThroughput(rounds map[string][]Throughput) {
	ratio := func(other string, of func(Throughput) float64) (float64, bool) {
		var ratios []float64
		for n, t := range rounds[other] {
			if n < len(rounds[drainName]) {
				ratios = append(ratios, of(rounds[drainName][n])/of(t))
			}
		}
		if len(ratios) == 0 {
			return 0, false
		}
		return median(ratios), true
	}
	speed := func(t Throughput) float64 { return t.RunsPerSecond }
	if value, ok := ratio(bareName(bareBatches[0]), speed); ok {
		r.atLeast("drain / bare loop, runs/s", value, 0.75)
	}
	for _, batch := range workerBatches {
		if all := rounds[workersName(batch)]; len(all) > 0 {
			r.atLeast(workersName(batch)+", runs/s", medianThroughput(all).RunsPerSecond, leastOfWorkers(batch, rounds[drainName]))
		}
	}
	if value, ok := ratio(riverName, speed); ok {
		r.atLeast("drain / River, runs/s", value, 1.5)
	}
	if value, ok := ratio(riverName, func(t Throughput) float64 { return t.WALBytesPerRun }); ok {
		r.atMost("drain / River, WAL bytes per run", value, 0.5)
	}
}

// Failed returns the checks that miss their requirement.
func (r *Report) Failed() []Check {
	return slices.DeleteFunc(slices.Clone(r.Checks), func(c Check) bool { return c.OK })
}

// Write writes the report as text.
func (r *Report) Write(w io.Writer) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	m := r.Machine
	fmt.Fprintf(out, "%d CPUs, %s, PostgreSQL %s: fsync %s, synchronous_commit %s, shared_buffers %s\n",
		m.CPUs, m.Go, m.PostgreSQL, m.Fsync, m.SynchronousCommit, m.SharedBuffers)
	if len(r.Throughput) > 0 {
		fmt.Fprintln(out, "\nBACKLOG\truns/s\tslowest\tfastest\tWAL B/run\tallocations/run\tB/run\tCPU µs/run\tstatements")
	}
	for _, t := range r.Throughput {
		fmt.Fprintf(out, "%s\t%.0f\t%.0f\t%.0f\t%.0f\t%.1f\t%.0f\t%.1f\t%s\n", t.Name, t.RunsPerSecond, t.Slowest, t.Fastest,
			t.WALBytesPerRun, t.AllocationsPerRun, t.AllocatedPerRun, t.CPUPerRun, list(t.Statements, "%s %d"))
	}
	if len(r.Lateness) > 0 {
		fmt.Fprintln(out, "\nLATENESS\truns\truns/s\tleft\tp50 ms\tp99 ms\tmax ms\tmin ms\tCPU µs/run\ttransactions/s\teach/s")
	}
	for _, l := range r.Lateness {
		fmt.Fprintf(out, "%s\t%d\t%.0f\t%d\t%.2f\t%.2f\t%.2f\t%.3f\t%.0f\t%.1f\t%s\n", l.Name, l.Runs, l.RunsPerSecond, l.Left,
			l.P50, l.P99, l.Max, l.Min, l.CPUPerRun, l.TransactionsPerSecond, list(l.StatementsPerSecond, "%s %.1f"))
	}
	writeMany(out, r.Many)
	writeStored(out, r.Stored)
	writeFound(out, r.Found)
	writeRequests(out, r.API)
	if r.Idle != nil {
		fmt.Fprintln(out, "\nIDLE\tjobs\tqueries/s\teach/s")
		fmt.Fprintf(out, "an instance\t%d\t%.2f\t%s\n", r.Idle.Jobs, r.Idle.QueriesPerSecond, list(r.Idle.StatementsPerSecond, "%s %.2f"))
	}
	if w := r.Waiting; w != nil {
		fmt.Fprintln(out, "\nWAITING WORKERS\tqueues\tanswers\ttransactions/s\tCPUs")
		fmt.Fprintf(out, "%d\t%d\t%d\t%.2f\t%.3f\n", w.Workers, w.Queues, w.Answers, w.TransactionsPerSecond, w.CPUs)
	}
	if len(r.ClaimCost) > 0 {
		fmt.Fprintf(out, "\nCOST OF A BATCH OF %d\tjobs\tclaim ms\tcomplete ms\tclaim, cold pages\n", costBatch)
	}
	for _, c := range r.ClaimCost {
		fmt.Fprintf(out, "%s\t%d\t%.2f\t%.2f\t%.2f\n", c.Name, c.Jobs, c.Claim, c.Complete, c.ClaimCold)
	}
	if len(r.Checks) > 0 {
		fmt.Fprintln(out, "\nCHECK\tmeasured\trequired\t")
	}
	for _, c := range r.Checks {
		fmt.Fprintf(out, "%s\t%.3g\t%s\t%s\n", c.Name, c.Value, c.Limit, map[bool]string{true: "ok", false: "NOT MET"}[c.OK])
	}
	return out.Flush()
}

// list returns counts as text, ordered by name.
func list[T int | float64](counts map[string]T, format string) string {
	text := ""
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf(format, name, counts[name])
	}
	return text
}
