package schedule

import (
	"math/bits"
	"time"
)

const (
	secondsPerMinute = 60
	secondsPerHour   = 60 * secondsPerMinute
	secondsPerDay    = 24 * secondsPerHour
)

// A calendar is the local times that an expression names, whatever the zone. In a set bit n stands
// for the value n.
type calendar struct {
	seconds, minutes, hours uint64
	months                  uint64

	days    uint64 // of the month
	daysEnd uint64 // of the month, counted from its end: bit 0 is the last day
	nearest uint64 // days of the month whose nearest working days it names: bit 0 is the last day
	weeks   [5]uint64
	weekEnd uint64 // days of the week in the last seven days of the month
	either  bool   // a date need be in one of days of the month and days of the week, else it must be in both
}

// A month is one month of one year.
type month struct {
	start   wall // its first midnight
	year    int
	number  int // 1 to 12
	length  int
	weekday int // of its first day, 0 is Sunday
}

// newMonth returns a month by its year and number.
func newMonth(year, number int) month {
	start := time.Date(year, time.Month(number), 1, 0, 0, 0, 0, time.UTC)
	return month{
		start:   wall(start.Unix()),
		year:    year,
		number:  number,
		length:  monthLength(year, number),
		weekday: int(start.Weekday()),
	}
}

func monthLength(year, number int) int {
	switch number {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	default:
		return 31
	}
}

// first returns the first named local time from `from` on and before until.
func (c *calendar) first(from, until wall) (wall, bool) {
	if c.months == 0 || from >= until {
		return 0, false
	}
	year, number, day := time.Unix(int64(from), 0).UTC().Date()
	m := newMonth(year, int(number))
	dates := c.dates(m)
	if dates>>day&1 == 1 {
		midnight := m.start + wall(day-1)*secondsPerDay
		if seconds, ok := c.timeFrom(int(from - midnight)); ok {
			found := midnight + wall(seconds)
			return found, found < until
		}
	}
	dates = dates >> (day + 1) << (day + 1)
	for dates == 0 {
		m = c.monthAfter(m)
		if m.start >= until {
			return 0, false
		}
		dates = c.dates(m)
	}
	midnight := m.start + wall(bits.TrailingZeros64(dates)-1)*secondsPerDay
	found := midnight + wall(c.timeOf(firstOf(c.hours), firstOf(c.minutes)))
	return found, found < until
}

// names reports whether it names a local time.
func (c *calendar) names(at wall) bool {
	_, ok := c.first(at, at+1)
	return ok
}

// crowded reports whether it names another time no further than distance from a time that it names.
func (c *calendar) crowded(at wall, distance int64) bool {
	if _, ok := c.first(at-wall(distance), at); ok {
		return true
	}
	_, ok := c.first(at+1, at+wall(distance)+1)
	return ok
}

// timeFrom returns the first named time of day from `from` on, both in seconds after midnight.
func (c *calendar) timeFrom(from int) (int, bool) {
	hour, minute, second := from/secondsPerHour, from/secondsPerMinute%60, from%60
	if c.hours>>hour&1 == 1 {
		if c.minutes>>minute&1 == 1 {
			if left := c.seconds >> second << second; left != 0 {
				return hour*secondsPerHour + minute*secondsPerMinute + firstOf(left), true
			}
		}
		if left := c.minutes >> (minute + 1) << (minute + 1); left != 0 {
			return c.timeOf(hour, firstOf(left)), true
		}
	}
	if left := c.hours >> (hour + 1) << (hour + 1); left != 0 {
		return c.timeOf(firstOf(left), firstOf(c.minutes)), true
	}
	return 0, false
}

// timeOf returns the first named time of day in a minute.
func (c *calendar) timeOf(hour, minute int) int {
	return hour*secondsPerHour + minute*secondsPerMinute + firstOf(c.seconds)
}

func firstOf(set uint64) int { return bits.TrailingZeros64(set) }

// monthAfter returns the first named month after another.
func (c *calendar) monthAfter(m month) month {
	if left := c.months >> (m.number + 1) << (m.number + 1); left != 0 {
		return newMonth(m.year, firstOf(left))
	}
	return newMonth(m.year+1, firstOf(c.months))
}

// dates returns the set of the days of a month that it names.
func (c *calendar) dates(m month) uint64 {
	if c.months>>m.number&1 == 0 {
		return 0
	}
	byDate := c.days | bits.Reverse64(c.daysEnd)>>(63-m.length) | c.workdays(m)
	var byWeekday uint64
	for week, days := range c.weeks {
		byWeekday |= sevenFrom(m.weekday, days) << (1 + 7*week)
	}
	lastWeek := m.length - 6
	byWeekday |= sevenFrom((m.weekday+lastWeek-1)%7, c.weekEnd) << lastWeek
	every := uint64(1)<<(m.length+1) - 2
	if c.either {
		return (byDate | byWeekday) & every
	}
	return byDate & byWeekday & every
}

// workdays returns the set of the days from Monday to Friday that are nearest to the days of
// nearest, within the month. A day that the month does not have has none.
func (c *calendar) workdays(m month) (set uint64) {
	const sunday, saturday = 0, 6
	for left := c.nearest; left != 0; left &= left - 1 {
		day := firstOf(left)
		if day == 0 {
			day = m.length
		}
		if day > m.length {
			break
		}
		switch weekday := (m.weekday + day - 1) % 7; {
		case weekday == saturday && day == 1:
			day += 2
		case weekday == saturday:
			day--
		case weekday == sunday && day == m.length:
			day -= 2
		case weekday == sunday:
			day++
		}
		set |= 1 << day
	}
	return set
}

// sevenFrom turns a set of days of the week into one of seven days in a row of which the first, bit
// 0, is a weekday.
func sevenFrom(weekday int, days uint64) uint64 {
	return (days>>weekday | days<<(7-weekday)) & (1<<7 - 1)
}
