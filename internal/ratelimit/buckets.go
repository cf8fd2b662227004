// Package ratelimit bounds how many requests somebody may make, in the memory of one instance.
//
// It counts with the token buckets of golang.org/x/time/rate: they are exact, their rate can change
// while they are in use, and they need no background task. Of the alternatives, go-chi/httprate
// counts in windows, and sethvargo/go-limiter has one limit for all keys of a store.
package ratelimit

import (
	"time"

	"golang.org/x/time/rate"
)

// sweepFrom is from how many buckets on the full ones are forgotten.
const sweepFrom = 1024

// buckets are token buckets by name. A bucket that is full again is the same as a new one, so it
// can be forgotten: there are never more of them than names that were used in the time that it
// takes to fill one, or twice as many. Not safe for concurrent use.
type buckets[K comparable] struct {
	all     map[K]*bucket
	sweepAt int
}

type bucket struct {
	*rate.Limiter
	// pending is how many attempts have begun and not ended.
	pending int
}

// get returns the bucket of a name: one that holds size tokens and gets perSecond of them.
func (b *buckets[K]) get(name K, perSecond rate.Limit, size int, now time.Time) *bucket {
	found, isKnown := b.all[name]
	if !isKnown {
		if len(b.all) >= max(b.sweepAt, sweepFrom) {
			b.sweep(now)
		}
		if b.all == nil {
			b.all = map[K]*bucket{}
		}
		found = &bucket{Limiter: rate.NewLimiter(perSecond, size)}
		b.all[name] = found
	}
	if found.Limit() != perSecond || found.Burst() != size {
		found.SetLimitAt(now, perSecond)
		found.SetBurstAt(now, size)
	}
	return found
}

// sweep forgets the buckets that are full.
func (b *buckets[K]) sweep(now time.Time) {
	for name, each := range b.all {
		if each.pending == 0 && each.TokensAt(now) >= float64(each.Burst()) {
			delete(b.all, name)
		}
	}
	b.sweepAt = 2 * len(b.all) // so that a sweep costs each new bucket the same
}
