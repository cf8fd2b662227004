package namespaces

import (
	"context"
	"sync"
	"time"

	"punctual/gen/db"
	"punctual/internal/access"
)

const (
	// knownFor is how long a namespace is known without being read again. Instances hear of changes
	// at once; this bounds how long one that hears nothing goes by what was.
	knownFor = 3 * time.Second
	// maxKnown bounds the memory of a Cache. When it has so many namespaces it forgets all of them.
	maxKnown = 10_000
)

// Cache knows the limits of the namespaces that requests name. Make it with NewCache. Safe for
// concurrent use.
//
// Only namespaces that exist are kept, so that nobody can fill it with names.
type Cache struct {
	queries *db.Queries
	mu      sync.Mutex
	known   map[string]known
	// forgotten counts the calls of Forget. What was read before one is not kept after it.
	forgotten int
}

type known struct {
	limits access.Limits
	until  time.Time
}

// NewCache returns a Cache that knows nothing yet.
func NewCache(q *db.Queries) *Cache { return &Cache{queries: q, known: map[string]known{}} }

// Limits returns the limits of a namespace, or access.ErrNoNamespace.
func (c *Cache) Limits(ctx context.Context, name string) (access.Limits, error) {
	c.mu.Lock()
	entry, forgotten := c.known[name], c.forgotten
	c.mu.Unlock()
	if time.Now().Before(entry.until) {
		return entry.limits, nil
	}
	row, err := found(c.queries.GetNamespace(ctx, name))
	if err != nil {
		return access.Limits{}, err
	}
	limits := access.Limits{
		MaxJobs: row.MaxJobs, MinIntervalSeconds: row.MinIntervalSeconds, RequestsPerSecond: row.RequestsPerSecond,
		RunRetentionDays: row.RunRetentionDays, IsSuspended: row.SuspendedAt != nil,
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= maxKnown {
		clear(c.known)
	}
	if c.forgotten == forgotten {
		c.known[name] = known{limits, time.Now().Add(knownFor)}
	}
	return limits, nil
}

// Forget makes the cache read each namespace again: one of them has changed, or it may have.
func (c *Cache) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.known)
	c.forgotten++
}
