// Package schedule says when a job is due. It is pure: no I/O and no clock of its own.
package schedule

import "time"

// MisfireAfter is how late an occurrence may start and still be executed for its own sake. One that would be later is
// missed: after an outage a job fires once for all it missed, not once for each.
const MisfireAfter = time.Minute

// Interval is the grid anchor + n * every, n = 1, 2, ..
type Interval struct {
	Anchor time.Time
	Every  time.Duration // more than zero
}

// NewInterval makes an Interval from whole seconds, the unit in which users give it.
func NewInterval(anchor time.Time, seconds int64) Interval {
	return Interval{Anchor: anchor, Every: time.Duration(seconds) * time.Second}
}

// Next returns the first instant of the grid after t.
func (i Interval) Next(t time.Time) time.Time {
	if t.Before(i.Anchor) {
		return i.Anchor.Add(i.Every)
	}
	return i.Last(t).Add(i.Every)
}

// Last returns the last instant of the grid not after t; the anchor where there is none.
func (i Interval) Last(t time.Time) time.Time {
	if t.Before(i.Anchor) {
		return i.Anchor
	}
	return i.Anchor.Add(t.Sub(i.Anchor) / i.Every * i.Every)
}

// Count returns how many instants the grid has from the instant first, which is one of them, to t, both included.
func (i Interval) Count(first, t time.Time) int {
	if t.Before(first) {
		return 0
	}
	return int(t.Sub(first)/i.Every) + 1
}

// Advance returns the occurrence to execute after the one at scheduledFor, as of now. It comes from scheduledFor,
// never from when that one ran, so the schedule does not drift. Where the occurrences in between are too late to be
// executed, it steps over them and returns how many; the first of them is Next(scheduledFor).
func (i Interval) Advance(scheduledFor, now time.Time) (next time.Time, missed int) {
	next = i.Next(scheduledFor)
	if now.Sub(next) <= MisfireAfter {
		return next, 0
	}
	return i.Next(now), i.Count(next, now)
}
