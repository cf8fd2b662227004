package namespaces

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"punctual/gen/db"
	"punctual/internal/jobs"
)

// Blackout is a time in which no run of a namespace starts. Its JSON is that of the contract.
type Blackout struct {
	From   time.Time `json:"from"`
	To     time.Time `json:"to"` // not included
	Reason string    `json:"reason"`
}

// checkBlackouts returns the fields of blackouts that end before they begin.
func checkBlackouts(all []Blackout) (wrong []jobs.Field) {
	for i, b := range all {
		if !b.To.After(b.From) {
			wrong = append(wrong, jobs.Field{
				Name: "blackouts." + strconv.Itoa(i) + ".to", Code: jobs.Conflicting, Detail: "must be after from",
			})
		}
	}
	return wrong
}

// encodeBlackouts returns blackouts as they are stored. None are nil.
func encodeBlackouts(all []Blackout) []byte {
	if len(all) == 0 {
		return nil
	}
	raw, _ := json.Marshal(all) // instants and texts: cannot fail
	return raw
}

// DecodeBlackouts returns the blackouts that a namespace stores.
func DecodeBlackouts(stored []byte) (all []Blackout, err error) {
	if stored == nil {
		return []Blackout{}, nil
	}
	if err := json.Unmarshal(stored, &all); err != nil {
		return nil, fmt.Errorf("decode the blackouts: %w", err)
	}
	return all, nil
}

// byNamespace returns the blackouts of rows by the names of their namespaces. No run starts in a
// namespace that is being moved to another cell.
func byNamespace[Row db.ListBlackoutsRow | db.LockBlackoutsRow](rows []Row) (map[string][]Blackout, error) {
	all := make(map[string][]Blackout, len(rows))
	for _, row := range rows {
		row := db.ListBlackoutsRow(row)
		decoded, err := DecodeBlackouts(row.Blackouts)
		if err != nil {
			return nil, fmt.Errorf("the namespace %s: %w", row.Name, err)
		}
		if row.MovingSince != nil {
			decoded = append(decoded, Blackout{To: row.MovingSince.Add(movesWithin)})
		}
		all[row.Name] = decoded
	}
	return all, nil
}

// blackoutsKnownFor is how long blackouts are known without being read again. Instances hear of
// changes at once; this bounds how long one that hears nothing goes by what was.
const blackoutsKnownFor = 30 * time.Second

// movesWithin is more than it takes to move a namespace to another cell.
const movesWithin = 24 * time.Hour

// Blackouts knows the blackouts of all namespaces. Make it with NewBlackouts. Safe for concurrent
// use.
type Blackouts struct {
	queries *db.Queries
	mu      sync.RWMutex
	known   map[string][]Blackout
	until   time.Time
	// forgotten counts the calls of Forget. What was read before one is not kept after it.
	forgotten int
}

// NewBlackouts returns Blackouts that know nothing yet.
func NewBlackouts(q *db.Queries) *Blackouts { return &Blackouts{queries: q} }

// Forget makes the blackouts be read again: some may have changed.
func (b *Blackouts) Forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until = time.Time{}
	b.forgotten++
}

// Refresh reads the blackouts, unless they are known. Call it before a claim.
func (b *Blackouts) Refresh(ctx context.Context) error {
	b.mu.RLock()
	isKnown, forgotten := time.Now().Before(b.until), b.forgotten
	b.mu.RUnlock()
	if isKnown {
		return nil
	}
	rows, err := b.queries.ListBlackouts(ctx)
	if err != nil {
		return fmt.Errorf("read the blackouts of namespaces: %w", err)
	}
	known, err := byNamespace(rows)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known = known; b.forgotten == forgotten {
		b.until = time.Now().Add(blackoutsKnownFor)
	}
	return nil
}

// Until returns the end of the blackout of a namespace that holds at an instant, and of those that
// follow without a gap; zero if there is none.
func (b *Blackouts) Until(namespace string, at time.Time) time.Time {
	b.mu.RLock()
	all := b.known[namespace]
	b.mu.RUnlock()
	return untilOf(all, at)
}

// Lock returns Until for some namespaces, of which the blackouts stay as they are until the end of
// a transaction.
func (*Blackouts) Lock(ctx context.Context, tx *db.Queries, names []string) (func(string, time.Time) time.Time, error) {
	rows, err := tx.LockBlackouts(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("lock the blackouts of namespaces: %w", err)
	}
	locked, err := byNamespace(rows)
	if err != nil {
		return nil, err
	}
	return func(namespace string, at time.Time) time.Time { return untilOf(locked[namespace], at) }, nil
}

// freeHeld makes the runs of a namespace that were put back wait for the end of the blackout that
// it has now, if it has one. It returns when the first of each queue is due. The caller holds a
// lock of the namespace.
func freeHeld(ctx context.Context, tx *db.Queries, namespace string, all []Blackout, now time.Time) ([]db.FreeHeldRunsRow, error) {
	until := untilOf(all, now)
	if until.IsZero() {
		until = now
	}
	first, err := tx.FreeHeldRuns(ctx, db.FreeHeldRunsParams{Namespace: namespace, Until: until})
	if err != nil {
		return nil, fmt.Errorf("move the runs that a blackout holds: %w", err)
	}
	return first, nil
}

// FreeMoved makes the runs of a namespace be due again that were put back while it was being moved
// to another cell. It is a cells.Free.
func FreeMoved(ctx context.Context, tx *db.Queries, namespace string) ([]db.FreeHeldRunsRow, error) {
	row, err := tx.LockNamespace(ctx, namespace)
	if err != nil {
		return nil, fmt.Errorf("read the namespace: %w", err)
	}
	now, err := tx.DatabaseTime(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the database's time: %w", err)
	}
	blackouts, err := DecodeBlackouts(row.Blackouts)
	if err != nil {
		return nil, err
	}
	return freeHeld(ctx, tx, namespace, blackouts, now)
}

func untilOf(all []Blackout, at time.Time) (until time.Time) {
	for range all { // as often as one may lead into another
		for _, one := range all {
			if !at.Before(one.From) && at.Before(one.To) {
				at, until = one.To, one.To
			}
		}
	}
	return until
}
