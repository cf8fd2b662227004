package schedule

import (
	"math"
	"time"
)

// A wall is what a local clock shows, date and time, counted in seconds as if the clock were in
// UTC.
type wall int64

// A span is a stretch of instants in which a zone has one offset, and what it was before. Offsets
// are in seconds.
type span struct {
	start  int64 // the instant of the change
	end    int64 // not included
	offset int64
	before int64 // the same as offset where the last change is so long ago that it does not matter
}

// farApart is more than two local clocks of one zone ever differ by: the largest change known is 24
// hours.
const farApart = 2 * secondsPerDay

// spanAt returns the span that holds an instant. It ends no later than the offset changes, but may
// end sooner.
func spanAt(zone *time.Location, at int64) span {
	s := span{start: at - farApart}
	s.end, s.offset = offsetAt(zone, s.start)
	s.before = s.offset
	for s.end <= at {
		end, offset := offsetAt(zone, s.end)
		if offset != s.offset {
			s.start, s.before, s.offset = s.end, s.offset, offset
		}
		s.end = end
	}
	return s
}

// offsetAt returns the offset of the zone at an instant and until when it is sure to stay. Where
// package time applies a rule instead of its tables, it may say that an offset began before it did,
// so its start is not used, and that a leap year ends after 365 days, so that an end may have
// passed.
func offsetAt(zone *time.Location, at int64) (end, offset int64) {
	t := time.Unix(at, 0).In(zone)
	_, seconds := t.Zone()
	_, bound := t.ZoneBounds()
	switch {
	case bound.IsZero():
		end = math.MaxInt64 / 2
	case bound.Unix() <= at:
		end = (at/secondsPerDay + 1) * secondsPerDay
	default:
		end = bound.Unix()
	}
	return end, int64(seconds)
}

// changed returns how long the gap or overlap at the span's start is.
func (s span) changed() int64 {
	return max(s.offset-s.before, s.before-s.offset)
}

// shown returns what the clock of the span shows at an instant, and when the instant at which it
// does.
func (s span) shown(at int64) wall   { return wall(at + s.offset) }
func (s span) when(shown wall) int64 { return int64(shown) - s.offset }

// shownBefore and whenBefore are the same for the clock as it was before the change.
func (s span) shownBefore(at int64) wall   { return wall(at + s.before) }
func (s span) whenBefore(shown wall) int64 { return int64(shown) - s.before }
