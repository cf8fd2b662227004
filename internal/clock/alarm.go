// Package clock tells the database's time without asking for it, waits for an instant, and orders
// instants.
package clock

import (
	"context"
	"sync"
	"time"
)

// Alarm wakes one sleeper at the earliest of the instants that it is set to. Make it with NewAlarm.
// Safe for concurrent use.
type Alarm struct {
	mu      sync.Mutex
	set     bool
	at      time.Time
	changed chan struct{} // has a token when at may have become earlier
}

// NewAlarm returns an alarm that is not set.
func NewAlarm() *Alarm { return &Alarm{changed: make(chan struct{}, 1)} }

// Clear unsets the alarm. An instant that is set after it wakes the next Wait, even if that has not
// begun yet.
func (a *Alarm) Clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.set = false
}

// Ring sets the alarm to t, unless it is set to an earlier instant. With a t in the past, Wait
// returns at once.
func (a *Alarm) Ring(t time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.set && !t.Before(a.at) {
		return
	}
	a.set, a.at = true, t
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

// Wait returns at the instant that the alarm is set to, as told by now, or when ctx ends.
func (a *Alarm) Wait(ctx context.Context, now func() time.Time) {
	for {
		a.mu.Lock()
		set, at := a.set, a.at
		a.mu.Unlock()
		var timer <-chan time.Time // nil, which never fires, if the alarm is not set
		if set {
			left := at.Sub(now())
			if left <= 0 {
				return
			}
			timer = time.After(left)
		}
		select {
		case <-ctx.Done():
			return
		case <-a.changed:
		case <-timer:
		}
	}
}
