package ratelimit

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Requests counts requests. The zero value is ready. Safe for concurrent use.
type Requests struct {
	mu      sync.Mutex
	buckets buckets[string]
}

// Take takes one of the requests that a name may make in a second. left is how many it has left at
// once. If it has none, nothing is taken, and wait is after how long there is one.
func (r *Requests) Take(now time.Time, name string, perSecond int) (left int, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.buckets.get(name, rate.Limit(perSecond), perSecond, now)
	if b.AllowN(now, 1) {
		return int(b.TokensAt(now)), 0
	}
	return 0, untilNext(b.TokensAt(now), perSecond)
}

// untilNext returns how long it takes until a bucket has a whole token.
func untilNext(tokens float64, perSecond int) time.Duration {
	return time.Duration(math.Ceil((1 - tokens) / float64(perSecond) * float64(time.Second)))
}
