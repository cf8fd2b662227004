package schedule

import (
	"iter"
	"slices"
	"time"

	"github.com/teambition/rrule-go"
)

// Rule is the instants that a recurrence rule of iCalendar (RFC 5545) names in a time zone. Make it
// with ParseRule. It never changes.
//
// The rule names local times. Each is due once, as those of a fixed-time job of Cron are: one in a
// gap at the first instant after it, and one in an overlap in the first pass.
type Rule struct {
	zone *time.Location
	// options say everything that the rule takes from its start otherwise. The start is the
	// midnight at which the period of the rule's frequency begins that the real start is in.
	options  rrule.ROption
	start    wall
	until    wall   // included
	except   []wall // sorted
	listed   []wall // all of them, sorted, if the rule has a COUNT
	isListed bool
}

// Next returns the first occurrence after t, in UTC, or false if there is none before the year
// 10000, or none for a century.
func (r *Rule) Next(t time.Time) (time.Time, bool) {
	for next := range r.After(t) {
		return next, true
	}
	return time.Time{}, false
}

// After returns the occurrences after t, earliest first.
func (r *Rule) After(t time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		after := t.Unix()
		_, offset := offsetAt(r.zone, after)
		// What the clock has shown up to t is due at t at the latest.
		for shown := range r.shownAfter(wall(after + offset)) {
			due := fixedInstant(r.zone, shown)
			if due <= after {
				continue // the second pass, or more than one in a gap
			}
			if after = due; due >= endOfTime || !yield(time.Unix(due, 0).UTC()) {
				return
			}
		}
	}
}

// Moved reports whether a change of the clock moved an occurrence: the rule does not name the local
// time that the clock shows.
func (r *Rule) Moved(occurrence time.Time) bool {
	_, offset := offsetAt(r.zone, occurrence.Unix())
	at := wall(occurrence.Unix() + offset)
	for shown := range r.shownAfter(at - 1) {
		return shown != at
	}
	return true
}

// PerDay returns how many occurrences a day may have.
func (r *Rule) PerDay() int {
	return len(r.options.Byhour) * len(r.options.Byminute) * len(r.options.Bysecond)
}

// shownAfter returns the local times after one that the rule names.
func (r *Rule) shownAfter(after wall) iter.Seq[wall] {
	all := r.counted(after)
	if !r.isListed {
		all = r.search(after)
	}
	return func(yield func(wall) bool) {
		for shown := range all {
			if shown > r.until {
				return
			}
			if _, isExcept := slices.BinarySearch(r.except, shown); !isExcept && !yield(shown) {
				return
			}
		}
	}
}

// counted returns the local times after one of a rule with a COUNT.
func (r *Rule) counted(after wall) iter.Seq[wall] {
	at, isThere := slices.BinarySearch(r.listed, after)
	if isThere {
		at++
	}
	return slices.Values(r.listed[at:])
}

// The calendar repeats itself, weekdays included, after 400 years.
const (
	cycleYears = 400
	cycle      = wall(146_097 * secondsPerDay)
)

// search returns the local times after one, without a bound. It begins in the period of the rule's
// frequency that holds `after`, not at the rule's start. The library ends a search only at the year
// 9999, so it is sent to that year's century: there, a search that finds nothing is short.
func (r *Rule) search(after wall) iter.Seq[wall] {
	after = max(after, r.start-1)
	options := r.options
	start := r.periodOf(after)
	cycles := wall((rrule.MAXYEAR - 100 - time.Unix(int64(start), 0).UTC().Year()) / cycleYears)
	options.Dtstart = time.Unix(int64(start+cycles*cycle), 0).UTC()
	return func(yield func(wall) bool) {
		rule, err := rrule.NewRRule(options)
		if err != nil {
			return // ParseRule has refused it
		}
		next := rule.Iterator()
		for at, ok := next(); ok; at, ok = next() {
			if shown := wall(at.Unix()) - cycles*cycle; shown > after && !yield(shown) {
				return
			}
		}
	}
}

// periodOf returns the start of the rule's period that holds a local time, or of the last one
// before it. It is not before the first period.
func (r *Rule) periodOf(at wall) wall {
	first := r.options.Dtstart
	n := r.options.Interval
	shown := time.Unix(int64(at), 0).UTC()
	switch r.options.Freq {
	case rrule.YEARLY:
		years := max(shown.Year()-first.Year(), 0)
		first = first.AddDate(years/n*n, 0, 0)
	case rrule.MONTHLY:
		months := max((shown.Year()-first.Year())*12+int(shown.Month())-int(first.Month()), 0)
		first = first.AddDate(0, months/n*n, 0)
	default:
		days := n
		if r.options.Freq == rrule.WEEKLY {
			days = 7 * n
		}
		passed := max(int(at.day()-DayOf(first)), 0)
		first = first.AddDate(0, 0, passed/days*days)
	}
	return wall(first.Unix())
}
