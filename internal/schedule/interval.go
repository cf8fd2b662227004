package schedule

import "time"

// Interval is the grid anchor + n * every, n = 1, 2, .., in whole microseconds.
type Interval struct {
	Anchor time.Time
	Every  time.Duration // a microsecond or more
}

// NewInterval makes an Interval from whole seconds, the unit in which users give it.
func NewInterval(anchor time.Time, seconds int64) Interval {
	return Interval{Anchor: anchor, Every: time.Duration(seconds) * time.Second}
}

// Next returns the first instant of the grid after t. There is always one.
func (i Interval) Next(t time.Time) (time.Time, bool) {
	return i.at(i.steps(t) + 1), true
}

// Last returns the last instant of the grid that is not after t, or the anchor if there is none.
func (i Interval) Last(t time.Time) time.Time {
	return i.at(i.steps(t))
}

// count returns how many instants of the grid are after one instant and not after another.
func (i Interval) count(after, until time.Time) int {
	return max(int(i.steps(until)-i.steps(after)), 0)
}

// steps returns how many steps there are from the anchor to t. It counts in microseconds, because a
// time.Duration, which is in nanoseconds, ends after 292 years.
func (i Interval) steps(t time.Time) int64 {
	return max(t.UnixMicro()-i.Anchor.UnixMicro(), 0) / i.Every.Microseconds()
}

// at returns the instant that is so many steps after the anchor.
func (i Interval) at(steps int64) time.Time {
	return time.UnixMicro(i.Anchor.UnixMicro() + steps*i.Every.Microseconds()).In(i.Anchor.Location())
}

// Once is a single instant.
type Once struct{ At time.Time }

// Next returns the instant if it is after t.
func (o Once) Next(t time.Time) (time.Time, bool) { return o.At, o.At.After(t) }

// Never is a grid without any instant.
type Never struct{}

// Next returns false.
func (Never) Next(time.Time) (time.Time, bool) { return time.Time{}, false }
