package ratelimit

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxAddresses is how many addresses are told apart. Beyond that, the others share one bucket, so
// that somebody with many addresses takes no more memory.
const maxAddresses = 1 << 16

// Attempts counts what failed, by the address that it came from. Only failures count, and what has
// begun and may still fail. Safe for concurrent use.
type Attempts struct {
	perMinute int
	mu        sync.Mutex
	buckets   buckets[netip.Prefix]
	sweptAt   time.Time
}

// NewAttempts returns a counter that allows each address a number of failures in a minute.
func NewAttempts(perMinute int) *Attempts { return &Attempts{perMinute: perMinute} }

// Begin begins an attempt, unless the address has failed too often: then the attempt must not be
// made, and wait is after how long there may be another one. Call end when it is known whether the
// attempt has failed.
func (a *Attempts) Begin(now time.Time, from netip.Addr) (end func(now time.Time, hasFailed bool), wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	perSecond := float64(a.perMinute) / 60
	b := a.bucket(now, network(from))
	if missing := 1 - (b.TokensAt(now) - float64(b.pending)); missing > 0 {
		return nil, time.Duration(missing / perSecond * float64(time.Second))
	}
	b.pending++
	return func(now time.Time, hasFailed bool) {
		a.mu.Lock()
		defer a.mu.Unlock()
		b.pending--
		if hasFailed {
			b.AllowN(now, 1)
		}
	}, 0
}

func (a *Attempts) bucket(now time.Time, from netip.Prefix) *bucket {
	if _, isKnown := a.buckets.all[from]; !isKnown && len(a.buckets.all) >= maxAddresses {
		if now.Sub(a.sweptAt) > time.Second {
			a.buckets.sweep(now)
			a.sweptAt = now
		}
		if len(a.buckets.all) >= maxAddresses {
			from = netip.Prefix{}
		}
	}
	return a.buckets.get(from, rate.Limit(float64(a.perMinute)/60), a.perMinute, now)
}

// network returns the addresses that one sender has: an IPv4 address, or 64 bits of an IPv6
// address.
func network(from netip.Addr) netip.Prefix {
	from = from.Unmap()
	bits := 32
	if from.Is6() {
		bits = 64
	}
	prefix, _ := from.Prefix(bits) // an address that is not valid has the zero prefix
	return prefix
}
