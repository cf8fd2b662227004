package namespaces

import (
	"context"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"punctual/gen/db"
	"punctual/internal/access"
)

const (
	// knownFor is how long a namespace is known without being read again. Instances hear of changes
	// at once; this bounds how long one that hears nothing goes by what was.
	knownFor = 3 * time.Second
	// maxKnown bounds the memory of a Cache. When it has so many namespaces it forgets all of them.
	maxKnown = 10_000
	// readWithin bounds one read. It serves all requests that wait for it, so none of them ends it.
	readWithin = 5 * time.Second
)

// Cache knows the limits of the namespaces that requests name. Make it with NewCache. Safe for
// concurrent use.
//
// Only namespaces that exist are kept, so that nobody can fill it with names.
type Cache struct {
	queries *db.Queries
	// reads makes requests that miss the same namespace at once read it once: a thousand workers
	// ask again at the same moment.
	reads singleflight.Group
	mu    sync.Mutex
	known map[string]known
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
	// A read that began before Forget is not for those who ask after it.
	limits, err, _ := c.reads.Do(strconv.Itoa(forgotten)+" "+name, func() (any, error) {
		return c.read(context.WithoutCancel(ctx), name, forgotten)
	})
	if err != nil {
		return access.Limits{}, err
	}
	return limits.(access.Limits), nil //nolint:forcetypeassert // read returns it
}

// read reads a namespace, and keeps it unless something was forgotten meanwhile.
func (c *Cache) read(ctx context.Context, name string, forgotten int) (access.Limits, error) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
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
