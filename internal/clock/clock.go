package clock

import (
	"sync"
	"time"
)

const (
	// window is how long an observation counts, at least. It counts at most twice as long.
	window = 5 * time.Second
	// maxDrift is how much faster this machine's clock may tick than the database's, in parts per
	// million: what ordinary quartz does at its worst.
	maxDrift = 50
	// minSetBack is the smallest step back of the database's clock that is worth a report.
	minSetBack = time.Minute
)

// Clock tells the database's time, from what the database said it was. Safe for concurrent use.
//
// It never runs ahead, so whoever waits for an instant by it is never early. What the database says
// takes a moment to arrive, and the Clock is behind by the shortest such moment of the last
// seconds, mostly a fraction of a millisecond. It does not matter which time this machine believes
// it is, only how fast its clock ticks. The zero Clock tells the machine's time until the first
// Observe.
type Clock struct {
	// SetBack, if set, is called when the database's clock was set back by a minute or more. A
	// process that was suspended may call it as well, because then an old answer looks like a clock
	// set back.
	SetBack func(by time.Duration)

	mu      sync.Mutex
	current observation // the best since began
	before  observation // the best of the window before that
	began   time.Time
}

// observation is one reading of the database's clock. The zero observation is none.
type observation struct {
	told     time.Time
	received time.Time // with this machine's monotonic reading
}

func (o observation) isNone() bool { return o.received.IsZero() }

// at returns the time of the database at an instant of this machine, according to o.
func (o observation) at(now time.Time) time.Time {
	elapsed := now.Sub(o.received)
	return o.told.Add(elapsed - elapsed/1_000_000*maxDrift)
}

// isBetter reports whether o is less behind than other.
func (o observation) isBetter(other observation, now time.Time) bool {
	return other.isNone() || (!o.isNone() && o.at(now).After(other.at(now)))
}

// Observe takes note of what the database said its time is. Call it as soon as the answer arrives.
func (c *Clock) Observe(told time.Time) {
	now := time.Now()
	if by := c.observe(observation{told: told, received: now}, now); by >= minSetBack && c.SetBack != nil {
		c.SetBack(by)
	}
}

// observe returns by how much the database's clock was set back, as far as a window that has ended
// shows: all that was observed in it was behind what was observed in the one before.
func (c *Clock) observe(o observation, now time.Time) (setBack time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.began) > window {
		if !c.before.isNone() && !c.current.isNone() {
			setBack = c.before.at(now).Sub(c.current.at(now))
		}
		c.before, c.current, c.began = c.current, observation{}, now
	}
	if o.isBetter(c.current, now) {
		c.current = o
	}
	return setBack
}

// Now returns the database's time, in UTC and in whole microseconds, like PostgreSQL's.
func (c *Clock) Now() time.Time {
	now := time.Now()
	c.mu.Lock()
	best := c.current
	if c.before.isBetter(best, now) {
		best = c.before
	}
	c.mu.Unlock()
	if best.isNone() {
		return now.UTC().Truncate(time.Microsecond)
	}
	return best.at(now).UTC().Truncate(time.Microsecond)
}
