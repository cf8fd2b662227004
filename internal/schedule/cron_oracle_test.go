package schedule_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// oracle says what is due the slow way: it looks at every instant, one step after the other, reads
// the local clock, and applies the definition of schedule.Cron word by word. It shares no code with
// the package.
type oracle struct {
	expression naive
	ticks      []tick
	step       time.Duration
}

// A tick is an instant and what the local clock shows then, the latter as if it were in UTC.
type tick struct {
	at, shows time.Time
	change    time.Duration // by how much the clock was last put forward, or back if negative; 0 if it was not
	changedAt int           // the index of the first tick with this clock
}

// walk returns the ticks from one instant on and before another.
func walk(zone *time.Location, from, until time.Time, step time.Duration) []tick {
	var ticks []tick
	for at := from; at.Before(until); at = at.Add(step) {
		y, mo, d := at.In(zone).Date()
		h, mi, s := at.In(zone).Clock()
		now := tick{at: at, shows: time.Date(y, mo, d, h, mi, s, 0, time.UTC)}
		if i := len(ticks); i > 0 {
			last := ticks[i-1]
			now.change, now.changedAt = last.change, last.changedAt
			if jump := now.shows.Sub(last.shows) - step; jump != 0 {
				now.change, now.changedAt = jump, i
			}
		}
		ticks = append(ticks, now)
	}
	return ticks
}

// due reports whether the i-th tick is an occurrence, and whether it was moved there.
func (o oracle) due(i int) (due, moved bool) {
	now := o.ticks[i]
	named := o.expression.names(now.shows)
	length := now.change.Abs()
	first := o.ticks[now.changedAt]
	affected := now.change != 0 && now.at.Before(first.at.Add(length))
	switch {
	case !affected:
		return named, false
	case now.change > 0 && o.expression.fixed:
		return named || i == now.changedAt && o.namesWithin(now.shows.Add(-length), now.shows), !named
	case now.change > 0 && named:
		return true, false
	case now.change > 0 && !o.expression.names(now.shows.Add(-length)):
		return false, false
	case now.change > 0:
		for _, before := range o.ticks[now.changedAt:i] {
			if o.expression.names(before.shows) {
				return false, false
			}
		}
		return true, true
	case o.expression.fixed || !named:
		return false, false
	default:
		return o.namesWithin(now.shows.Add(-length), now.shows) ||
			o.namesWithin(now.shows.Add(o.step), now.shows.Add(length+o.step)), false
	}
}

func (o oracle) namesWithin(from, until time.Time) bool {
	for at := from; at.Before(until); at = at.Add(o.step) {
		if o.expression.names(at) {
			return true
		}
	}
	return false
}

// naive is an expression of numbers, ranges, steps, L, nW, LW, d#n and dL, taken apart with as
// little thought as can be.
type naive struct {
	second, minute, hour, month [61]bool
	day, weekday                string
	fixed                       bool
}

func newNaive(t require.TestingT, expression string) naive {
	if h, ok := t.(*testing.T); ok {
		h.Helper()
	}
	f := strings.Fields(expression)
	if len(f) == 5 {
		f = append([]string{"0"}, f...)
	}
	require.Len(t, f, 6, expression)
	n := naive{day: f[3], month: list(f[4], 1, 12), weekday: f[5]}
	n.second, n.minute, n.hour = list(f[0], 0, 59), list(f[1], 0, 59), list(f[2], 0, 23)
	n.fixed = !strings.ContainsAny(f[1]+f[2], "*/") &&
		slices.Contains(n.minute[:60], false) && slices.Contains(n.hour[:24], false)
	return n
}

// list expands a list of *, a, a-b, each with or without /n.
func list(text string, low, high int) (set [61]bool) {
	for item := range strings.SplitSeq(text, ",") {
		base, step, stepped := strings.Cut(item, "/")
		n, a, b := 1, low, high
		if stepped {
			n, _ = strconv.Atoi(step)
		}
		if base != "*" {
			from, to, ranged := strings.Cut(base, "-")
			a, _ = strconv.Atoi(from)
			if ranged {
				b, _ = strconv.Atoi(to)
			} else if !stepped {
				b = a
			}
		}
		for v, steps := a, 0; ; steps++ { // one by one, around the clock
			if steps%n == 0 {
				set[v] = true
			}
			if v == b {
				break
			}
			if v++; v > high {
				v = low
			}
		}
	}
	return set
}

func (n *naive) names(at time.Time) bool {
	if !n.second[at.Second()] || !n.minute[at.Minute()] || !n.hour[at.Hour()] || !n.month[at.Month()] {
		return false
	}
	if n.day == "*" && n.weekday == "*" {
		return true
	}
	day, weekday := n.namesDay(at), n.namesWeekday(at)
	if strings.HasPrefix(n.day, "*") || strings.HasPrefix(n.weekday, "*") {
		return day && weekday
	}
	return day || weekday
}

func (n *naive) namesDay(at time.Time) bool {
	for item := range strings.SplitSeq(n.day, ",") {
		if day, isNearest := strings.CutSuffix(item, "W"); isNearest {
			if isNearestWorkday(at, day) {
				return true
			}
			continue
		}
		back, isLast := strings.CutPrefix(item, "L")
		if !isLast {
			if list(item, 1, 31)[at.Day()] {
				return true
			}
			continue
		}
		before, _ := strconv.Atoi(strings.TrimPrefix(back, "-"))
		then := at.AddDate(0, 0, before)
		if then.Month() == at.Month() && then.AddDate(0, 0, 1).Month() != at.Month() {
			return true
		}
	}
	return false
}

// isNearestWorkday reports whether of all days from Monday to Friday of its month, a date is the
// nearest to a day of the month, or L.
func isNearestWorkday(at time.Time, day string) bool {
	first := time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
	wanted, err := strconv.Atoi(day)
	if err != nil {
		wanted = first.AddDate(0, 1, -1).Day()
	}
	if first.AddDate(0, 0, wanted-1).Month() != at.Month() {
		return false
	}
	nearest, distance := 0, 99
	for d := first; d.Month() == at.Month(); d = d.AddDate(0, 0, 1) {
		far := max(d.Day()-wanted, wanted-d.Day())
		if d.Weekday() != time.Saturday && d.Weekday() != time.Sunday && far < distance {
			nearest, distance = d.Day(), far
		}
	}
	return at.Day() == nearest
}

func (n *naive) namesWeekday(at time.Time) bool {
	for item := range strings.SplitSeq(n.weekday, ",") {
		day, week, isNth := strings.Cut(item, "#")
		day, isLast := strings.CutSuffix(day, "L")
		if !list(day, 0, 6)[at.Weekday()] {
			continue
		}
		nth, _ := strconv.Atoi(week)
		switch {
		case isLast && at.AddDate(0, 0, 7).Month() != at.Month(),
			isNth && (at.Day()-1)/7+1 == nth,
			!isLast && !isNth:
			return true
		}
	}
	return false
}
