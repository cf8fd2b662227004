// Package batches collects what arrives one by one, so that what arrives within a moment is handled
// together: the busier it gets, the larger the batches.
package batches

import (
	"sync"
	"time"
)

// maxHandlers is how many batches are handled at a time: while one waits for its commit, the other
// is computed.
const maxHandlers = 2

// Collector collects items into batches. Make it with New. Safe for concurrent use.
type Collector[Item any] struct {
	size      int
	linger    time.Duration
	mu        sync.Mutex
	items     []Item
	handlers  int
	lingering bool          // the only handler waits for its batch to fill
	hurried   chan struct{} // has a token when there is reason not to linger
}

// New returns a Collector of batches of at most size items. The first item of a batch waits for
// others for up to linger.
func New[Item any](size int, linger time.Duration) *Collector[Item] {
	return &Collector[Item]{size: size, linger: linger, hurried: make(chan struct{}, 1)}
}

// Add adds items. If it returns true, the caller has to handle batches until Take returns nothing.
// One caller handles batches as long as anything is left, another only full batches.
func (c *Collector[Item]) Add(items ...Item) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.items = append(c.items, items...)
	full := len(c.items) >= c.size
	if full && c.lingering {
		c.Hurry()
		return false
	}
	if c.handlers == 0 || (full && c.handlers < maxHandlers) {
		c.handlers++
		return true
	}
	return false
}

// Hurry ends the lingering of Take: somebody waits for items to be handled.
func (c *Collector[Item]) Hurry() {
	select {
	case c.hurried <- struct{}{}:
	default:
	}
}

// Take returns the next batch, after lingering a moment for it to fill. If it returns nothing, the
// caller stops handling: nothing is left, or another caller handles it.
func (c *Collector[Item]) Take() []Item {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.items) < c.size {
		if len(c.items) == 0 || c.handlers > 1 {
			c.handlers--
			return nil
		}
		c.wait()
	}
	n := min(len(c.items), c.size)
	batch := c.items[:n:n]
	c.items = c.items[n:]
	return batch
}

// wait waits for the batch to fill, for a moment at most. The caller holds the lock, which is
// released while it waits.
func (c *Collector[Item]) wait() {
	if c.linger == 0 {
		return
	}
	c.lingering = true
	c.mu.Unlock()
	timer := time.NewTimer(c.linger)
	select {
	case <-c.hurried:
	case <-timer.C:
	}
	timer.Stop()
	c.mu.Lock()
	c.lingering = false
}
