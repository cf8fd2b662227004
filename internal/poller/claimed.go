package poller

import (
	"maps"
	"slices"
	"sync"
)

// claimed knows the tokens of the claims of which runs are still on this instance's hands. The zero value has none.
type claimed struct {
	mu   sync.Mutex
	left map[int64]int
}

// add notes a claim of n runs.
func (c *claimed) add(token int64, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left == nil {
		c.left = map[int64]int{}
	}
	c.left[token] = n
}

// done notes that one of a claim's runs is off this instance's hands.
func (c *claimed) done(token int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left[token]--; c.left[token] <= 0 {
		delete(c.left, token)
	}
}

func (c *claimed) tokens() []int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.AppendSeq([]int64{}, maps.Keys(c.left))
}
