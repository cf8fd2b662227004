// Package schedule says when a job is due. It is pure: no I/O and no clock of its own.
package schedule

import "time"

// Grid is the instants that a schedule names: an Interval, a Cron, or Once.
type Grid interface {
	// Next returns the first instant after t; false when there is none.
	Next(t time.Time) (time.Time, bool)
}

// Schedule is when a job is due: the instants of a grid within bounds, all shifted by the job's jitter.
type Schedule struct {
	Grid   Grid
	Start  time.Time     // the first instant that may be one; zero: no bound
	End    time.Time     // the last that may; zero: no bound
	Jitter time.Duration // by how much later each is; the bounds are for the instants before that
}

// Next returns the first occurrence after t; false when there is none before the year 10000, which RFC 3339 cannot write.
func (s Schedule) Next(t time.Time) (time.Time, bool) {
	t = t.Add(-s.Jitter)
	if t.Before(s.Start) {
		t = s.Start.Add(-1) // the start itself may be one
	}
	next, ok := s.Grid.Next(t)
	if !ok || (!s.End.IsZero() && next.After(s.End)) || next.Add(s.Jitter).Unix() >= endOfTime {
		return time.Time{}, false
	}
	return next.Add(s.Jitter), true
}

// maxCount bounds what counting may cost.
const maxCount = 100_000

// Between returns how many occurrences there are after one instant and not after another, and the last of them. It counts
// an interval's exactly, and others' up to 100 000: more are as many.
func (s Schedule) Between(after, until time.Time) (count int, last time.Time) {
	first, ok := s.Next(after)
	if !ok || first.After(until) {
		return 0, time.Time{}
	}
	if interval, ok := s.Grid.(Interval); ok {
		bound := until.Add(-s.Jitter)
		if !s.End.IsZero() && bound.After(s.End) {
			bound = s.End
		}
		return 1 + interval.count(first.Add(-s.Jitter), bound), interval.Last(bound).Add(s.Jitter)
	}
	for next := first; count < maxCount && ok && !next.After(until); next, ok = s.Next(next) {
		count, last = count+1, next
	}
	if count == maxCount {
		last = s.lastBefore(until)
	}
	return count, last
}

// lastBefore returns the last occurrence not after until. There has to be one.
func (s Schedule) lastBefore(until time.Time) (last time.Time) {
	// Looks back in windows that double until one has an occurrence: of its two halves the later had none, so there are
	// not many to step over.
	for window := time.Minute; ; window *= 2 {
		next, ok := s.Next(until.Add(-window))
		for ; ok && !next.After(until); next, ok = s.Next(next) {
			last = next
		}
		if !last.IsZero() {
			return last
		}
	}
}
