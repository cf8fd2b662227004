// Package schedule computes when a job is due. It is pure: no I/O, and no clock of its own.
package schedule

import "time"

// Grid is the instants that a schedule names: an Interval, a Cron, Once, or Never.
type Grid interface {
	// Next returns the first instant after t, or false if there is none.
	Next(t time.Time) (time.Time, bool)
}

// Schedule is when a job is due: the instants of a grid within bounds, all shifted by the job's
// jitter.
type Schedule struct {
	Grid   Grid
	Start  time.Time     // no occurrence is before it; zero means no bound
	End    time.Time     // no occurrence is after it; zero means no bound
	Jitter time.Duration // added to each instant; the bounds apply before it is added
}

// Next returns the first occurrence after t, or false if there is none before the year 10000, which
// RFC 3339 cannot write.
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

// maxCount bounds the cost of counting.
const maxCount = 100_000

// Between returns how many occurrences are after one instant and not after another, and the last of
// them. It counts those of an interval exactly, and others up to 100 000, which it returns for
// more.
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

// lastBefore returns the last occurrence that is not after until. There must be one.
func (s Schedule) lastBefore(until time.Time) (last time.Time) {
	// It looks back in windows that double until one has an occurrence. The later half of that
	// window has none, so there are few to step over.
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
