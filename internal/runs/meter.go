package runs

import "time"

// Meter measures the statements that take and store runs. Its methods are called by many at once,
// and must not block.
type Meter interface {
	// Claimed is called after each claim, with how many runs it took.
	Claimed(kind ClaimKind, runs int, took time.Duration, err error)
	// Stored is called for each batch that was to be stored.
	Stored(batch Batch, err error)
}

// Batch are attempts that are stored together.
type Batch struct {
	Runs int
	// Retried is how many of the attempts have failed and are followed by another.
	Retried int
	// Took is how long it took to store them.
	Took time.Duration
	// Delay is how long the attempt that ended first has waited, until all were stored.
	Delay time.Duration
}

// ClaimKind says who claims what.
type ClaimKind string

// The kinds of claims.
const (
	ClaimAtOnce      ClaimKind = "at-once"
	ClaimGroups      ClaimKind = "groups"
	ClaimConnections ClaimKind = "connections"
	ClaimWorkers     ClaimKind = "workers"
)

// ClaimKinds lists the kinds of claims.
var ClaimKinds = []ClaimKind{ClaimAtOnce, ClaimGroups, ClaimConnections, ClaimWorkers}

// measureBatch tells the Meter of a batch that was to be stored from begun on.
func (s Store) measureBatch(batch []*Ended, begun time.Time, err error) {
	b := Batch{Runs: len(batch), Took: time.Since(begun)}
	first := batch[0].finished
	for _, e := range batch {
		if !e.retryAt.IsZero() {
			b.Retried++
		}
		if e.finished.Before(first) {
			first = e.finished
		}
	}
	b.Delay = max(s.Now().Sub(first), 0)
	s.Meter.Stored(b, err)
}
