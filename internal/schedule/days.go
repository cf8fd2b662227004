package schedule

import (
	"cmp"
	"slices"
	"time"
)

// A Day is a date, counted in days since 1970-01-01.
type Day int64

// DayOf returns the date that a time shows in its location.
func DayOf(t time.Time) Day {
	_, offset := t.Zone()
	return wall(t.Unix() + int64(offset)).day()
}

// Midnight returns the day's first instant in UTC.
func (d Day) Midnight() time.Time { return time.Unix(int64(d)*secondsPerDay, 0).UTC() }

// day returns the date that a local clock shows.
func (w wall) day() Day {
	day := w / secondsPerDay
	if w%secondsPerDay < 0 {
		day--
	}
	return Day(day)
}

// DayRange is the days from one to another, both included.
type DayRange struct{ From, To Day }

// Days is a set of days in a time zone. Make it with NewDays. It never changes.
type Days struct {
	zone     *time.Location
	ranges   []DayRange // sorted, without gaps or overlaps between neighbours
	yearly   [13]uint32 // by month: the set of days
	weekdays uint8      // bit 0 is Sunday
}

// NewDays returns the days of ranges, of every year, and of every week.
func NewDays(zone *time.Location, ranges []DayRange, yearly []time.Time, weekdays []time.Weekday) *Days {
	d := &Days{zone: zone, ranges: Merge(ranges)}
	for _, day := range yearly {
		d.yearly[day.Month()] |= 1 << day.Day()
	}
	for _, day := range weekdays {
		d.weekdays |= 1 << day
	}
	return d
}

// Merge returns the same days as few ranges, sorted. It leaves out ranges that end before they
// begin.
func Merge(ranges []DayRange) (merged []DayRange) {
	sorted := slices.SortedFunc(slices.Values(ranges), func(a, b DayRange) int { return cmp.Compare(a.From, b.From) })
	for _, r := range sorted {
		switch last := len(merged) - 1; {
		case r.To < r.From:
		case last >= 0 && r.From <= merged[last].To+1:
			merged[last].To = max(merged[last].To, r.To)
		default:
			merged = append(merged, r)
		}
	}
	return merged
}

// Has reports whether a day is in the set.
func (d *Days) Has(day Day) bool {
	date := day.Midnight()
	if d.weekdays>>date.Weekday()&1 == 1 || d.yearly[date.Month()]>>date.Day()&1 == 1 {
		return true
	}
	at, isStart := slices.BinarySearchFunc(d.ranges, day, func(r DayRange, day Day) int { return cmp.Compare(r.From, day) })
	return isStart || at > 0 && day <= d.ranges[at-1].To
}

// hasInstant reports whether the day that an instant is in, in the zone of the set, is one of them,
// and until when, not included, this surely stays so. Both instants are in seconds since 1970.
func (d *Days) hasInstant(at int64) (has bool, until int64) {
	end, offset := offsetAt(d.zone, at)
	day := wall(at + offset).day()
	return d.Has(day), min(end, int64(day+1)*secondsPerDay-offset)
}
