package clock

import (
	"sync"
	"time"
)

const (
	// window is for how long an observation counts, at least; at most twice as long.
	window = 5 * time.Second
	// maxDrift is how much faster this machine's clock may tick than the database's, in parts per million: what
	// ordinary quartz does at its worst.
	maxDrift = 50
)

// Clock tells the database's time, from what the database said it was. It never runs ahead, so whoever waits for an
// instant by it is never early: what the database says takes a moment to arrive, and the Clock is behind by the least
// such moment of the last few seconds, mostly a fraction of a millisecond. What this machine believes the time to be
// does not matter, only how fast its clock ticks. The zero Clock tells the machine's time until the first Observe.
// Safe for concurrent use.
type Clock struct {
	mu      sync.Mutex
	current observation // the best since it began
	before  observation // the best of the window before
	began   time.Time
}

// observation is one reading of the database's clock. The zero observation is none.
type observation struct {
	told     time.Time
	received time.Time // with this machine's monotonic reading
}

// at returns the time of the database that o tells for now.
func (o observation) at(now time.Time) time.Time {
	elapsed := now.Sub(o.received)
	return o.told.Add(elapsed - elapsed/1_000_000*maxDrift)
}

// better tells whether o is behind by less than other.
func (o observation) better(other observation, now time.Time) bool {
	return other.received.IsZero() || (!o.received.IsZero() && o.at(now).After(other.at(now)))
}

// Observe takes note of what the database said its time is. Call it as soon as that has arrived.
func (c *Clock) Observe(told time.Time) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.began) > window {
		c.before, c.current, c.began = c.current, observation{}, now
	}
	if o := (observation{told: told, received: now}); o.better(c.current, now) {
		c.current = o
	}
}

// Now returns the database's time, in UTC, in whole microseconds as PostgreSQL has it.
func (c *Clock) Now() time.Time {
	now := time.Now()
	c.mu.Lock()
	best := c.current
	if c.before.better(best, now) {
		best = c.before
	}
	c.mu.Unlock()
	if best.received.IsZero() {
		return now.UTC().Truncate(time.Microsecond)
	}
	return best.at(now).UTC().Truncate(time.Microsecond)
}
