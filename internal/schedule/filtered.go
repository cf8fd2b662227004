package schedule

import (
	"iter"
	"slices"
	"time"
)

// OnSkipped is what becomes of an occurrence on a day that is left out.
type OnSkipped int

// What becomes of it.
const (
	Drop OnSkipped = iota
	// ToNextDay moves it to the same local time of the next day that is not left out.
	ToNextDay
	// ToPreviousDay moves it to the same local time of the last such day before.
	ToPreviousDay
)

const (
	// maxMoved is by how many days an occurrence may be moved.
	maxMoved = 31
	// reach is longer than any occurrence is moved, whatever clocks do meanwhile.
	reach = (maxMoved + 2) * secondsPerDay * time.Second
	// horizon bounds a search that finds nothing. It spans a leap year's day on each weekday.
	horizon = 50 * 366 * secondsPerDay * time.Second
	// MaxMovedPerDay is how many occurrences a grid may have on a day, if they are to be moved. It
	// bounds what has to be looked at to find the next one.
	MaxMovedPerDay = 24
)

// Filtered is the instants of a grid, without those on days that calendars leave out. The calendars
// decide by the instant: each looks at the day that it is in, in its own zone.
//
// Instants that are left out are moved if Moves says so. A moved one shows the same local time in
// Zone as before. If the local time does not exist that day, it is at the first instant after the
// gap, and if it exists twice, it is the first. An instant that no day within maxMoved days takes
// is none. Two that meet are one.
//
// Make it as a pointer: it is large.
type Filtered struct {
	Grid Grid
	Skip []*Days // no instant is on one of these days
	Only []*Days // if there are any, each instant is on one of these days
	// Moves is what becomes of the others. A grid may have MaxMovedPerDay instants on a day then.
	Moves OnSkipped
	Zone  *time.Location
}

// Kept is an instant of a Filtered grid.
type Kept struct {
	At time.Time
	// Named is the instant of the inner grid from which it was moved, or the same as At.
	Named time.Time
}

// Next returns the first instant after t, or false if there is none, or none for half a century
// after one that is left out.
func (f *Filtered) Next(t time.Time) (time.Time, bool) {
	for kept := range f.Kept(t) {
		return kept.At, true
	}
	return time.Time{}, false
}

// After returns the instants after t, earliest first.
func (f *Filtered) After(t time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		for kept := range f.Kept(t) {
			if !yield(kept.At) {
				return
			}
		}
	}
}

// Kept returns the instants after t, earliest first.
func (f *Filtered) Kept(t time.Time) iter.Seq[Kept] {
	return func(yield func(Kept) bool) {
		from, settles := t, time.Duration(0)
		switch f.Moves {
		case ToNextDay:
			from = t.Add(-reach)
		case ToPreviousDay:
			settles = -reach
		default: // nothing moves
		}
		var waiting []Kept // sorted: those that an instant yet to come may precede
		for kept, named := range f.walk(from) {
			// All that later instants become is later than this.
			settled := named.Add(settles)
			for len(waiting) > 0 && waiting[0].At.Before(settled) {
				if !yield(waiting[0]) {
					return
				}
				waiting = waiting[1:]
			}
			if kept.At.After(t) {
				waiting = insert(waiting, kept)
			}
		}
		for _, kept := range waiting {
			if !yield(kept) {
				return
			}
		}
	}
}

// insert adds an instant to a sorted list, unless it is there. One that was not moved stands for
// those that were moved to it.
func insert(sorted []Kept, kept Kept) []Kept {
	at, isThere := slices.BinarySearchFunc(sorted, kept, func(a, b Kept) int { return a.At.Compare(b.At) })
	if !isThere {
		return slices.Insert(sorted, at, kept)
	}
	if kept.Named.Equal(kept.At) {
		sorted[at] = kept
	}
	return sorted
}

// walk returns the instants of the inner grid after t, in order, and what becomes of each: a zero
// Kept if nothing does. It jumps over stretches in which nothing is kept.
func (f *Filtered) walk(t time.Time) iter.Seq2[Kept, time.Time] {
	lead, back := time.Duration(0), time.Duration(0)
	if f.Moves != Drop {
		lead = reach
	}
	if f.Moves == ToPreviousDay {
		back = reach
	}
	return func(yield func(Kept, time.Time) bool) {
		var last time.Time // the last instant of which something became
		for named, ok := f.Grid.Next(t); ok; named, ok = f.Grid.Next(t) {
			t = named
			kept, isKept := f.keep(named)
			if isKept || last.IsZero() {
				last = named
			}
			if !isKept && named.Sub(last) > horizon {
				return
			}
			if !yield(kept, named) {
				return
			}
			if isKept {
				continue
			}
			// Later on this day, at another time, an instant may be moved back to where this one is not.
			opens, ok := f.opens(named.Add(-back))
			if !ok {
				return
			}
			if jump := opens.Add(-lead - 1); jump.After(t) {
				t = jump
			}
		}
	}
}

// keep returns what becomes of an instant of the inner grid, if anything does.
func (f *Filtered) keep(named time.Time) (Kept, bool) {
	if isKept, _ := f.keeps(named.Unix()); isKept {
		return Kept{named, named}, true
	}
	if f.Moves == Drop {
		return Kept{}, false
	}
	step := Day(1)
	if f.Moves == ToPreviousDay {
		step = -1
	}
	_, offset := offsetAt(f.Zone, named.Unix())
	shown := wall(named.Unix() + offset)
	for n := Day(1); n <= maxMoved; n++ {
		day := shown.day() + n*step
		at := fixedInstant(f.Zone, shown+wall(n*step)*secondsPerDay)
		_, offset := offsetAt(f.Zone, at)
		if wall(at+offset).day() != day {
			continue // the zone has skipped this day
		}
		if isKept, _ := f.keeps(at); isKept {
			moved := time.Unix(at, int64(named.Nanosecond())).In(named.Location())
			return Kept{moved, named}, true
		}
	}
	return Kept{}, false
}

// keeps reports whether an instant is on a day that counts, and until when, not included, this
// surely stays so. Instants are in seconds since 1970.
func (f *Filtered) keeps(at int64) (keeps bool, until int64) {
	keeps, until = true, endOfTime
	for _, days := range f.Skip {
		has, end := days.hasInstant(at)
		keeps, until = keeps && !has, min(until, end)
	}
	isNamed := len(f.Only) == 0
	for _, days := range f.Only {
		has, end := days.hasInstant(at)
		isNamed, until = isNamed || has, min(until, end)
	}
	return keeps && isNamed, until
}

// opens returns the first instant from t on that is on a day that counts, or false if there is none
// before the horizon or the year 10000.
func (f *Filtered) opens(t time.Time) (time.Time, bool) {
	last := min(t.Add(horizon).Unix(), endOfTime) // nothing is known of later days
	for at := t.Unix(); at < last; {
		keeps, until := f.keeps(at)
		if keeps {
			return time.Unix(at, 0).UTC(), true
		}
		at = until
	}
	return time.Time{}, false
}

// fixedInstant returns the instant at which a local time is due that is named once: in a gap, the
// first instant after it; in an overlap, in the first pass.
func fixedInstant(zone *time.Location, shown wall) int64 {
	for at := int64(shown) - farApart; ; {
		end, offset := offsetAt(zone, at)
		if due := int64(shown) - offset; due < end {
			return max(due, at)
		}
		at = end
	}
}
