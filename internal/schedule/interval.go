package schedule

import "time"

// Interval is the grid anchor + n * every, n = 1, 2, ..
type Interval struct {
	Anchor time.Time
	Every  time.Duration // more than zero
}

// NewInterval makes an Interval from whole seconds, the unit in which users give it.
func NewInterval(anchor time.Time, seconds int64) Interval {
	return Interval{Anchor: anchor, Every: time.Duration(seconds) * time.Second}
}

// Next returns the first instant of the grid after t. There always is one.
func (i Interval) Next(t time.Time) (time.Time, bool) {
	return i.Last(t).Add(i.Every), true
}

// Last returns the last instant of the grid not after t; the anchor where there is none.
func (i Interval) Last(t time.Time) time.Time {
	if t.Before(i.Anchor) {
		return i.Anchor
	}
	return i.Anchor.Add(t.Sub(i.Anchor) / i.Every * i.Every)
}

// count returns how many instants the grid has after one instant and not after another.
func (i Interval) count(after, until time.Time) int {
	return max(int(i.Last(until).Sub(i.Last(after))/i.Every), 0)
}

// Once is a single instant.
type Once struct{ At time.Time }

// Next returns the instant if it is after t.
func (o Once) Next(t time.Time) (time.Time, bool) { return o.At, o.At.After(t) }
