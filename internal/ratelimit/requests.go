package ratelimit

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Quota is how many requests a name may make in a second.
type Quota struct {
	Name      string
	PerSecond int
}

// Requests counts requests. The zero value is ready. Safe for concurrent use.
type Requests struct {
	mu      sync.Mutex
	buckets buckets[string]
}

// Take takes a request from each of the quotas, or from none if one of them has none left: then
// refused is its index, and -1 otherwise. left is how many requests each quota has left at once,
// and wait is after how long there is another one in each.
func (r *Requests) Take(now time.Time, quotas ...Quota) (left []int, refused int, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	left = make([]int, len(quotas))
	used := make([]*bucket, len(quotas))
	refused = -1
	for i, q := range quotas {
		used[i] = r.buckets.get(q.Name, rate.Limit(q.PerSecond), q.PerSecond, now)
		tokens := used[i].TokensAt(now)
		if left[i] = int(tokens); tokens >= 1 {
			continue
		}
		if until := untilNext(tokens, q.PerSecond); refused < 0 || until > wait {
			refused, wait = i, until
		}
	}
	if refused >= 0 {
		return left, refused, wait
	}
	for i := range quotas {
		used[i].AllowN(now, 1) // it has a token, and nobody else takes it meanwhile
		left[i]--
	}
	return left, refused, 0
}

// untilNext returns how long it takes until a bucket has a whole token.
func untilNext(tokens float64, perSecond int) time.Duration {
	return time.Duration(math.Ceil((1 - tokens) / float64(perSecond) * float64(time.Second)))
}
