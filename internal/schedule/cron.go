package schedule

import (
	"math/bits"
	"time"
)

// Cron is the instants that a cron expression names in a time zone, to the second. Make it with
// ParseCron; the zero Cron has no instants. It is a plain value: copy and share it freely.
//
// # When the clock is changed
//
// A change of the zone's offset, by daylight saving or by law, makes either a gap of local times
// that no clock shows or an overlap of local times that clocks show twice, in a first and a second
// pass. Both are as long as the change.
//
// A fixed-time job is one whose minute and hour are both written without "*" and without a step,
// and neither allows every value ("0-23" says the same as "*"). Every local time that it names is
// due once:
//   - in a gap, at the first instant after the gap; several times of one gap, and the gap's end if
//     it is named as well, are that one occurrence;
//   - in an overlap, in the first pass only.
//
// Every other job is a wildcard job and follows elapsed time, none skipped and none doubled. It is
// due at each instant at which the clock shows a time that it names, with two exceptions:
//   - after a gap it is due by the old clock as well, for as long as the gap was, but only until it
//     is due by the new one: "*/15 * * * *" and "30 * * * *" just go on, "0 */2 * * *" has its
//     02:00 at 03:00, and "*/10 2 * * *" has its six occurrences an hour later by the clock;
//   - in a second pass it is due only if it names another time, before or after, that is no further
//     away than the overlap is long: "*/15 * * * *", "30 * * * *" and "*/10 1-3 * * *" go on in
//     both passes, but "0 */2 * * *", whose rhythm is longer than the overlap, has its 02:00 once.
//
// Only the last change before an instant counts for it.
type Cron struct {
	calendar calendar
	zone     *time.Location
	fixed    bool // a fixed-time job, else a wildcard job
}

// A CronError says which part of a cron expression is wrong, and why, for the person who wrote it.
type CronError struct {
	Field  string // "second", "minute", "hour", "day of month", "month", "day of week", or "expression" for the whole
	Reason string
}

func (e *CronError) Error() string { return "cron: " + e.Field + ": " + e.Reason }

// Instants are counted in seconds since 1970. Next knows those of the years 1 to 9999, the ones RFC
// 3339 can write.
const (
	firstInstant = -62_135_596_800 // 0001-01-01T00:00:00Z
	endOfTime    = 253_402_300_800 // 10000-01-01T00:00:00Z
)

// Next returns the first occurrence after t, in UTC, or false if there is none before the year
// 10000. For a later t it never returns an earlier occurrence.
func (c Cron) Next(t time.Time) (next time.Time, ok bool) {
	after := t.Unix() // rounds down, so an occurrence is after t just if it is after this
	if c.zone == nil || after >= endOfTime {
		return time.Time{}, false
	}
	due, ok := c.next(max(after+1, firstInstant))
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(due, 0).UTC(), true
}

// PerDay returns how many times of a day it names.
func (c Cron) PerDay() int {
	return bits.OnesCount64(c.calendar.hours) * bits.OnesCount64(c.calendar.minutes) * bits.OnesCount64(c.calendar.seconds)
}

// Moved reports whether a change of the clock moved an occurrence. The expression then does not
// name the local time that the clock shows.
func (c Cron) Moved(occurrence time.Time) bool {
	if c.zone == nil {
		return false
	}
	at := occurrence.Unix()
	_, offset := time.Unix(at, 0).In(c.zone).Zone()
	return !c.calendar.names(wall(at + int64(offset)))
}
