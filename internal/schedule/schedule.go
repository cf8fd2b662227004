// Package schedule computes when a job is due. It is pure: no I/O, and no clock of its own.
package schedule

import (
	"iter"
	"time"
)

// Grid is the instants that a schedule names: an Interval, a Cron, a Rule, Once, or Never, or one
// of them Filtered or Without some.
type Grid interface {
	// Next returns the first instant after t, or false if there is none.
	Next(t time.Time) (time.Time, bool)
}

// A walker is a Grid that finds many instants in a row with less effort than by Next.
type walker interface {
	// After returns the instants after t, earliest first.
	After(t time.Time) iter.Seq[time.Time]
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
	next, ok := s.Grid.Next(s.bounded(t))
	if !ok || (!s.End.IsZero() && next.After(s.End)) || next.Add(s.Jitter).Unix() >= endOfTime {
		return time.Time{}, false
	}
	return next.Add(s.Jitter), true
}

// bounded returns the instant after which the grid is to be searched for occurrences after t.
func (s Schedule) bounded(t time.Time) time.Time {
	t = t.Add(-s.Jitter)
	if t.Before(s.Start) {
		return s.Start.Add(-1) // the start itself may be one
	}
	return t
}

// After returns the occurrences after t, earliest first, as Next does.
func (s Schedule) After(t time.Time) iter.Seq[time.Time] {
	many, ok := s.Grid.(walker)
	return func(yield func(time.Time) bool) {
		if !ok {
			for next, ok := s.Next(t); ok && yield(next); next, ok = s.Next(next) {
			}
			return
		}
		for at := range many.After(s.bounded(t)) {
			if !s.End.IsZero() && at.After(s.End) || at.Add(s.Jitter).Unix() >= endOfTime || !yield(at.Add(s.Jitter)) {
				return
			}
		}
	}
}

// Moved reports whether a change of the clock moved an occurrence, so that it is not at the local
// time that the grid names, and whether it was moved to another day.
func (s Schedule) Moved(occurrence time.Time, zone *time.Location) (byClock, byCalendar bool) {
	at := occurrence.Add(-s.Jitter)
	grid := s.Grid
	if f, isFiltered := grid.(*Filtered); isFiltered {
		grid = f.Grid
		for kept := range f.Kept(at.Add(-1)) {
			named := kept.Named
			byCalendar = !named.Equal(at)
			byClock = byCalendar && named.In(zone).Format(time.TimeOnly) != at.In(zone).Format(time.TimeOnly)
			at = named
			break
		}
	}
	if local, isLocal := grid.(interface{ Moved(time.Time) bool }); isLocal {
		byClock = byClock || local.Moved(at)
	}
	return byClock, byCalendar
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
	for next := range s.After(after) {
		if count == maxCount || next.After(until) {
			break
		}
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
		for next := range s.After(until.Add(-window)) {
			if next.After(until) {
				break
			}
			last = next
		}
		if !last.IsZero() {
			return last
		}
	}
}
