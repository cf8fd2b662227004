package poller

import (
	"maps"
	"slices"
	"sync"
)

// claims tracks the tokens of the claims whose runs are not all released yet. The zero value has
// none.
type claims struct {
	mu   sync.Mutex
	left map[int64]int
}

// add notes a claim of n runs.
func (c *claims) add(token int64, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left == nil {
		c.left = map[int64]int{}
	}
	c.left[token] = n
}

// forget forgets a claim of no runs.
func (c *claims) forget(token int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.left, token)
}

// release notes that one of a claim's runs is released.
func (c *claims) release(token int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left[token]--; c.left[token] <= 0 {
		delete(c.left, token)
	}
}

func (c *claims) tokens() []int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.AppendSeq([]int64{}, maps.Keys(c.left))
}

// runs returns how many runs are not released yet.
func (c *claims) runs() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, left := range c.left {
		n += left
	}
	return n
}
