// Package recent remembers for some seconds what was read of the database, until it is told to
// forget it.
package recent

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// maxKnown bounds the memory. When so many values are known, all are dropped.
	maxKnown = 10_000
	// readWithin bounds one read. It serves all who wait for it, so none of them ends it.
	readWithin = 5 * time.Second
)

// Values remembers values by their keys. Make it with New. Safe for concurrent use.
//
// Only what exists is kept, so that nobody can fill it with keys.
type Values[K comparable, V any] struct {
	read func(ctx context.Context, key K, before V) (V, error)
	// lasts is how long a value is used without being read again.
	lasts time.Duration
	// reads makes those who miss the same value at once read it once: a thousand workers ask again
	// at the same moment.
	reads singleflight.Group
	mu    sync.Mutex
	known map[K]entry[V]
	// forgotten counts the calls of Forget. What was read before one is not used after it.
	forgotten int
}

type entry[V any] struct {
	value V
	until time.Time
}

// New returns Values that know nothing yet, and use each value for so long. An instance hears of
// changes at once, so this bounds how long one that hears nothing goes by what was. read reads a
// value; before is the value that was read last, or zero. What it returns an error for is not kept.
func New[K comparable, V any](lasts time.Duration, read func(ctx context.Context, key K, before V) (V, error)) *Values[K, V] {
	return &Values[K, V]{read: read, lasts: lasts, known: map[K]entry[V]{}}
}

// Get returns the value of a key. Its errors are those of the function that reads it.
func (v *Values[K, V]) Get(ctx context.Context, key K) (V, error) {
	v.mu.Lock()
	known, forgotten := v.known[key], v.forgotten
	v.mu.Unlock()
	if time.Now().Before(known.until) {
		return known.value, nil
	}
	// A read that began before Forget is not for those who ask after it.
	got, err, _ := v.reads.Do(fmt.Sprintf("%d %v", forgotten, key), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readWithin)
		defer cancel()
		value, err := v.read(ctx, key, known.value)
		v.keep(key, value, err == nil, forgotten)
		return value, err
	})
	return got.(V), err //nolint:forcetypeassert // the function returns it
}

// keep keeps a value that exists, unless something was forgotten since its read began. It drops one
// that could not be read.
func (v *Values[K, V]) keep(key K, value V, exists bool, forgotten int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.known) >= maxKnown {
		clear(v.known)
	}
	switch {
	case !exists:
		delete(v.known, key)
	case v.forgotten == forgotten:
		v.known[key] = entry[V]{value, time.Now().Add(v.lasts)}
	}
}

// Forget makes each value be read again before it is used: one of them has changed, or it may have.
func (v *Values[K, V]) Forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for key, known := range v.known {
		known.until = time.Time{}
		v.known[key] = known
	}
	v.forgotten++
}
