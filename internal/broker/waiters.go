package broker

import (
	"slices"
	"time"

	"punctual/internal/clock"
)

// never is later than anything that is due.
var never = clock.EndOfTime

// longAgo is earlier than anything that is due.
var longAgo = time.Unix(0, 0)

// keepQueue is for how long the state of a queue is kept when no worker waits any more: a worker
// that asks again and again is not to cost a query each time.
const keepQueue = time.Minute

// queue is which workers wait for runs of a queue, and what is known of it.
type queue struct {
	waiting []*waiter
	// next is when a run of the queue is due next; zero if that is not known.
	next time.Time
	// isAssumed is whether next is not known but assumed: a claim has filled all that was asked
	// for, so more is probably due.
	isAssumed bool
	// lateArrival is the earliest instant that has become due since a look began, which may not
	// have seen it.
	lateArrival time.Time
	// leftAt is when the last worker left, by this machine's monotonic clock.
	leftAt time.Time
}

func (q *queue) isKnown() bool { return !q.next.IsZero() }

// forget makes the next due time unknown.
func (q *queue) forget() { q.next, q.isAssumed, q.lateArrival = time.Time{}, false, never }

// assumeDue makes the next claim try the queue without a look at the database before.
func (q *queue) assumeDue() { q.next, q.isAssumed = longAgo, true }

// beginLook is called before the database is asked.
func (q *queue) beginLook() { q.next, q.isAssumed, q.lateArrival = never, false, never }

// endLook is called with what the database has answered.
func (q *queue) endLook(next time.Time) { q.next = clock.Earlier(next, q.lateArrival) }

// add notes that a run is due at an instant.
func (q *queue) add(readyAt time.Time) {
	q.lateArrival = clock.Earlier(q.lateArrival, readyAt)
	if q.isKnown() {
		q.next = clock.Earlier(q.next, readyAt)
	}
}

// isUnused reports whether no worker has waited for so long that the state can be dropped.
func (q *queue) isUnused(now time.Time) bool {
	return len(q.waiting) == 0 && now.Sub(q.leftAt) > keepQueue
}

// sendAway lets nobody wait any longer.
func (q *queue) sendAway() {
	for _, w := range q.waiting {
		close(w.closed)
	}
	q.waiting, q.leftAt = nil, time.Now()
}

// remove removes a waiter, and reports whether it was there.
func (q *queue) remove(w *waiter, now time.Time) bool {
	before := len(q.waiting)
	q.waiting = slices.DeleteFunc(q.waiting, func(other *waiter) bool { return other == w })
	q.leftAt = now
	return len(q.waiting) < before
}
