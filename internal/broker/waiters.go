package broker

import (
	"slices"
	"time"

	"punctual/internal/clock"
)

// never is later than anything that is due.
var never = time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC)

// keepLine is for how long what is known of a queue is kept when nobody waits any more: a worker that asks again and again
// is not to cost a query each time.
const keepLine = time.Minute

// line is who waits for runs of one queue, and what is known of it.
type line struct {
	waiting []*waiter
	// next is when something is due next; the zero instant: that is not known.
	next time.Time
	// heard is the earliest that has become due since a look began, which may not have seen it.
	heard time.Time
	// leftAt is when nobody waited any more, by this machine's monotonic clock.
	leftAt time.Time
}

func (l *line) isKnown() bool { return !l.next.IsZero() }

func (l *line) forget() { l.next, l.heard = time.Time{}, never }

// beginLook is called before the database is asked.
func (l *line) beginLook() { l.next, l.heard = never, never }

// learn is told what the database has answered.
func (l *line) learn(next time.Time) {
	l.next = clock.Earlier(next, l.heard)
}

// hear is told that something is due at an instant.
func (l *line) hear(readyAt time.Time) {
	l.heard = clock.Earlier(l.heard, readyAt)
	if l.isKnown() {
		l.next = clock.Earlier(l.next, readyAt)
	}
}

func (l *line) isForgotten(now time.Time) bool {
	return len(l.waiting) == 0 && now.Sub(l.leftAt) > keepLine
}

// remove takes a waiter out of the line, and reports whether it was there.
func (l *line) remove(w *waiter, now time.Time) bool {
	before := len(l.waiting)
	l.waiting = slices.DeleteFunc(l.waiting, func(other *waiter) bool { return other == w })
	l.leftAt = now
	return len(l.waiting) < before
}
