package schedule_test

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"punctual/internal/schedule"
)

// zones are the names of all time zones of tzdata: the files of lib/time/zoneinfo.zip of Go 1.26.
//
//go:embed testdata/zones.txt
var zones string

// Two zones as Go's own tzdata has them: the tables end at the change below, and a rule follows
// that claims to have been in force before. With ZONEINFO=$(go env GOROOT)/lib/time/zoneinfo.zip
// every zone is tested so; most systems' tables go on to 2037.
var (
	//go:embed testdata/Ciudad_Juarez.tzif
	juarez []byte
	//go:embed testdata/Winamac.tzif
	winamac []byte
)

// A change is one that a zone's clock made.
type change struct {
	zone *time.Location
	at   time.Time
	by   time.Duration
}

func (c change) String() string {
	return fmt.Sprintf("%s %s by %s", c.zone, c.at.Format(time.RFC3339), c.by)
}

// allChanges returns every change of the clock of every zone from 2000 to 2037. Of zones that
// change at the same instant from the same offset to the same other one it has the first.
var allChanges = sync.OnceValue(func() []change {
	var changes []change
	type same struct{ at, before, after int64 }
	seen := map[same]bool{}
	for name := range strings.FieldsSeq(zones) {
		zone, err := time.LoadLocation(name)
		if err != nil {
			panic(err)
		}
		offset := func(at int64) int64 {
			_, seconds := time.Unix(at, 0).In(zone).Zone()
			return int64(seconds)
		}
		const step = 12 * 60 * 60
		end := time.Date(2038, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
		for at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Unix(); at < end; at += step {
			before, after := offset(at), offset(at+step)
			if before == after {
				continue
			}
			last, first := at, at+step
			for first-last > 1 {
				if middle := (last + first) / 2; offset(middle) == before {
					last = middle
				} else {
					first = middle
				}
			}
			key := same{first, before, after}
			if !seen[key] {
				seen[key] = true
				by := time.Duration(after-before) * time.Second
				changes = append(changes, change{zone, time.Unix(first, 0).UTC(), by})
			}
		}
	}
	return changes
})

// around returns the ticks near a change, and the first of them to be looked at. The walk starts
// earlier than that, to see whether another change is still felt.
func around(c change, step time.Duration) (ticks []tick, first int) {
	near, earlier := 3*time.Hour, 25*time.Hour
	if step == time.Second {
		near, earlier = time.Hour, time.Hour
	}
	from := c.at.Add(-near - earlier)
	return walk(c.zone, from, c.at.Add(c.by.Abs()+near), step), int(earlier / step)
}

// expressionsFor returns what to try at a change: of each kind some, with times before, in and
// after the gap or overlap.
func expressionsFor(c change) []string {
	shown := c.at.In(c.zone)
	if c.by > 0 {
		shown = shown.Add(-c.by) // the gap, or the overlap, begins here
	}
	end := shown.Add(c.by.Abs())
	middle := shown.Add(c.by.Abs() / 2)
	return []string{
		"*/15 * * * *", "30 * * * *", "0 * * * *", "*/20 * * * *", "7,40 * * * *",
		"0 */2 * * *", "30 1/2 * * *", "0 0-23 * * *", "*/10 1-3 * * *", "0 0 * * *", "0,30 2 * * *", "15 2,3 * * *",
		fmt.Sprintf("%d %d * * *", middle.Minute(), middle.Hour()),
		fmt.Sprintf("%d,%d %d,%d * * *", shown.Minute(), end.Minute(), shown.Hour(), end.Hour()),
		fmt.Sprintf("*/10 %d * * *", shown.Hour()),
		fmt.Sprintf("5/25 %d,%d * * *", shown.Hour(), end.Hour()),
		fmt.Sprintf("%d %d %d * *", middle.Minute(), middle.Hour(), middle.Day()),
		fmt.Sprintf("0 * * * %d", shown.Weekday()),
		fmt.Sprintf("*/15 */3 %d * *", middle.Day()),
	}
}

func TestNextAgreesWithAWalkOverEveryChangeOfEveryZone(t *testing.T) {
	t.Parallel()
	changes := allChanges()
	require.Greater(t, len(changes), 1000, "changes in tzdata")
	const parts = 4
	for part := range parts {
		t.Run(strconv.Itoa(part), func(t *testing.T) {
			t.Parallel()
			for i := part; i < len(changes); i += parts {
				c := changes[i]
				ticks, first := around(c, time.Minute)
				for _, expression := range expressionsFor(c) {
					agree(t, c, oracle{newNaive(t, expression), ticks, time.Minute}, first, expression)
				}
			}
		})
	}
}

func TestNextAgreesWithAWalkWhereTheTablesEnd(t *testing.T) {
	t.Parallel()
	for _, end := range []struct {
		name, at string
		table    []byte
		by       time.Duration
	}{
		{"America/Ciudad_Juarez", "2022-11-30T06:00:00Z", juarez, -time.Hour},
		{"America/Indiana/Winamac", "2007-03-11T08:00:00Z", winamac, 2 * time.Hour},
	} {
		zone, err := time.LoadLocationFromTZData(end.name, end.table)
		require.NoError(t, err)
		c := change{zone, instant(t, end.at), end.by}
		ticks, first := around(c, time.Minute)
		for _, expression := range expressionsFor(c) {
			agree(t, c, oracle{newNaive(t, expression), ticks, time.Minute}, first, expression)
		}
	}
}

// agree compares the occurrences that Next steps through with those that the oracle finds from the
// first-th tick on.
func agree(t *testing.T, c change, o oracle, first int, expression string) {
	t.Helper()
	cron, err := schedule.ParseCron(expression, c.zone, 0)
	require.NoError(t, err, expression)
	next, ok := cron.Next(o.ticks[first].at.Add(-1))
	for i := first; i < len(o.ticks); i++ {
		at := o.ticks[i].at
		due, moved := o.due(i)
		if got := ok && next.Equal(at); got != due {
			t.Fatalf("%s at %s: at %s due is %v, but Next has come to %s", expression, c, at.In(c.zone), due, next.In(c.zone))
		}
		if due {
			if cron.Moved(at) != moved {
				t.Fatalf("%s at %s: at %s moved is %v", expression, c, at.In(c.zone), moved)
			}
			next, ok = cron.Next(next)
		}
	}
	if ok && next.Before(o.ticks[len(o.ticks)-1].at) {
		t.Fatalf("%s at %s: Next is stuck at %s", expression, c, next)
	}
}

// anExpression draws an expression that the oracle can read, with seconds or without.
func anExpression(withSeconds bool) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		part := func(name string, low, high int) string {
			number := rapid.IntRange(low, high)
			var items []string
			for range rapid.IntRange(1, 3).Draw(t, name+" items") {
				a := number.Draw(t, name)
				b := number.Draw(t, name+" to") // may be before a
				n := rapid.IntRange(1, (high-low+1)/2).Draw(t, name+" step")
				items = append(items, rapid.SampledFrom([]string{
					"*", strconv.Itoa(a), strconv.Itoa(a), fmt.Sprintf("%d-%d", a, b),
					fmt.Sprintf("*/%d", n), fmt.Sprintf("%d/%d", a, n), fmt.Sprintf("%d-%d/%d", a, b, n),
				}).Draw(t, name+" item"))
			}
			return strings.Join(items, ",")
		}
		day := rapid.SampledFrom([]string{"*", "*", "*", "L", "L-2", "1,15,L", "*/2", "15W", "1W,LW", "31W", part("day", 1, 31)}).Draw(t, "days")
		weekday := rapid.SampledFrom([]string{"*", "*", "*", "0", "1-5", "5-1", "0#1", "0L,6", part("weekday", 0, 6)}).Draw(t, "weekdays")
		month := rapid.SampledFrom([]string{"*", "*", "*", "3-11", "11-2", part("month", 1, 12)}).Draw(t, "months")
		text := strings.Join([]string{part("minute", 0, 59), part("hour", 0, 23), day, month, weekday}, " ")
		if withSeconds {
			text = part("second", 0, 59) + " " + text
		}
		return text
	})
}

// againstTheWalk draws a change, an expression and instants near the change.
func againstTheWalk(t *rapid.T, step time.Duration) {
	c := rapid.SampledFrom(allChanges()).Draw(t, "change")
	if step == time.Second && c.by.Abs() > time.Hour {
		t.Skip("the walk would be long")
	}
	expression := anExpression(step == time.Second).Draw(t, "expression")
	cron, err := schedule.ParseCron(expression, c.zone, 0)
	if err != nil {
		t.Skip(err) // never due
	}
	ticks, first := around(c, step)
	o := oracle{newNaive(t, expression), ticks, step}
	for range 3 {
		from := rapid.IntRange(first, len(ticks)-1).Draw(t, "from")
		after := ticks[from].at.Add(time.Duration(rapid.Int64Range(-1, int64(step)-1).Draw(t, "nanoseconds")))
		next, ok := cron.Next(after)
		require.True(t, ok && next.After(after), "%s is not after %s", next, after)
		for i := from; i < len(ticks) && !ticks[i].at.After(next); i++ {
			if due, _ := o.due(i); due && ticks[i].at.After(after) {
				require.Equal(t, ticks[i].at, next, "the first occurrence after %s", after.In(c.zone))
			} else if ticks[i].at.Equal(next) {
				t.Fatalf("at %s nothing is due", next.In(c.zone))
			}
		}
	}
}

func TestNextAgreesWithAWalkByMinutes(t *testing.T) {
	t.Parallel()
	for range 10 {
		rapid.Check(t, func(t *rapid.T) { againstTheWalk(t, time.Minute) })
	}
}

func TestNextAgreesWithAWalkBySeconds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { againstTheWalk(t, time.Second) })
}

// Far from any change Next is the calendar alone; the walk there is by days.
func TestNextAgreesWithAWalkByDays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		expression := "0 0 " + strings.SplitN(anExpression(false).Draw(t, "expression"), " ", 3)[2]
		cron, err := schedule.ParseCron(expression, nil, 0)
		if err != nil {
			t.Skip(err)
		}
		n := newNaive(t, expression)
		day := time.Date(1890, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 300*365).Draw(t, "day"))
		next, ok := cron.Next(day)
		require.True(t, ok)
		for day = day.AddDate(0, 0, 1); day.Before(next); day = day.AddDate(0, 0, 1) {
			require.False(t, n.names(day), "%s is due, before %s", day, next)
		}
		require.Equal(t, day, next)
		require.True(t, n.names(day))
	})
}

func TestNextIsMonotoneAndConsistent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(allChanges()).Draw(t, "change")
		cron, err := schedule.ParseCron(anExpression(true).Draw(t, "expression"), c.zone, 0)
		if err != nil {
			t.Skip(err)
		}
		hours := rapid.Int64Range(int64(-72*time.Hour), int64(72*time.Hour))
		a := c.at.Add(time.Duration(hours.Draw(t, "a")))
		b := a.Add(time.Duration(hours.Draw(t, "b")).Abs())
		fromA, okA := cron.Next(a)
		fromB, okB := cron.Next(b)
		require.True(t, okA && okB)
		require.False(t, fromB.Before(fromA), "Next(%s) = %s, but Next(%s) = %s", a, fromA, b, fromB)
		again, ok := cron.Next(fromA.Add(-1))
		require.True(t, ok)
		require.Equal(t, fromA, again, "the instant just before %s", fromA)
		if fromA.After(b) {
			require.Equal(t, fromA, fromB, "nothing is due between %s and %s", a, b)
		}
	})
}
