// Package dbclock tells the database's time without asking it.
package dbclock

import (
	"sync"
	"time"
)

// Clock tells the database's time from its last Observe on. It never runs ahead: what it was told took a moment to
// arrive, so it is behind by that moment, at most a round trip. The machine's own clock does not matter, only how
// fast it ticks. The zero Clock tells the machine's time until the first Observe. Safe for concurrent use.
type Clock struct {
	mu       sync.Mutex
	told     time.Time // by the database
	received time.Time // by this machine, with its monotonic reading
}

// Observe takes note of what the database said its time is, as soon as that arrives.
func (c *Clock) Observe(database time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told, c.received = database, time.Now()
}

// Now returns the database's time, in UTC, in whole microseconds as PostgreSQL has it.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.received.IsZero() {
		return time.Now().UTC().Truncate(time.Microsecond)
	}
	return c.told.Add(time.Since(c.received)).UTC().Truncate(time.Microsecond)
}
