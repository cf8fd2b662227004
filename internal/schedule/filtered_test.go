package schedule_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"punctual/internal/schedule"
)

// naiveDays is a calendar as people write it: with texts.
type naiveDays struct {
	zone     *time.Location
	dates    map[string]bool
	yearly   []string
	weekdays []time.Weekday
}

func (n naiveDays) has(at time.Time) bool {
	at = at.In(n.zone)
	return n.dates[at.Format(time.DateOnly)] || slices.Contains(n.yearly, at.Format("01-02")) ||
		slices.Contains(n.weekdays, at.Weekday())
}

// days returns the same calendar as the package has it.
func (n naiveDays) days(t require.TestingT) *schedule.Days {
	var ranges []schedule.DayRange
	for date := range n.dates {
		day, err := time.Parse(time.DateOnly, date)
		require.NoError(t, err)
		ranges = append(ranges, schedule.DayRange{From: schedule.DayOf(day), To: schedule.DayOf(day)})
	}
	var yearly []time.Time
	for _, day := range n.yearly {
		at, err := time.Parse(time.DateOnly, "2000-"+day)
		require.NoError(t, err)
		yearly = append(yearly, at)
	}
	return schedule.NewDays(n.zone, ranges, yearly, n.weekdays)
}

// someDays draws a calendar for the years from one on.
func someDays(t *rapid.T, name string, year int) naiveDays {
	n := naiveDays{zone: load(rapid.SampledFrom(twenty).Draw(t, name+" zone")), dates: map[string]bool{}}
	first := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
	for range rapid.IntRange(0, 40).Draw(t, name+" ranges") {
		from := rapid.IntRange(0, 3700).Draw(t, name+" from")
		for day := range rapid.SampledFrom([]int{1, 1, 2, 5, 20, 30, 31, 32, 45}).Draw(t, name+" length") {
			n.dates[first.AddDate(0, 0, from+day).Format(time.DateOnly)] = true
		}
	}
	n.yearly = rapid.SliceOfN(rapid.SampledFrom([]string{"01-01", "02-29", "12-25", "12-31"}), 0, 3).Draw(t, name+" yearly")
	n.weekdays = rapid.SliceOfN(rapid.SampledFrom([]time.Weekday{0, 1, 3, 6}), 0, 3).Draw(t, name+" weekdays")
	return n
}

// filteredWalk finds what is due day by day.
type filteredWalk struct {
	zone       *time.Location
	skip, only []naiveDays
	// due remembers what dueAt has said.
	due map[time.Time]time.Time
}

func (w filteredWalk) dueAt(shown time.Time) time.Time {
	at, ok := w.due[shown]
	if !ok {
		at = dueAt(w.zone, shown)
		w.due[shown] = at
	}
	return at
}

func (w filteredWalk) keeps(at time.Time) bool {
	has := func(n naiveDays) bool { return n.has(at) }
	return !slices.ContainsFunc(w.skip, has) && (len(w.only) == 0 || slices.ContainsFunc(w.only, has))
}

// become returns the instant to which one is moved by days in a direction, and whether it is due at
// all.
func (w filteredWalk) become(at time.Time, direction int) (time.Time, bool) {
	if w.keeps(at) {
		return at, true
	}
	for n := 1; n <= 31 && direction != 0; n++ {
		wanted := shownBy(w.zone, at).AddDate(0, 0, n*direction)
		moved := w.dueAt(wanted)
		if shownBy(w.zone, moved).YearDay() == wanted.YearDay() && w.keeps(moved) {
			return moved, true
		}
	}
	return time.Time{}, false
}

// TestFilteredAgreesWithAWalkOverDays: ten years in twenty zones, with calendars in other zones.
func TestFilteredAgreesWithAWalkOverDays(t *testing.T) {
	t.Parallel()
	for moves, direction := range map[schedule.OnSkipped]int{schedule.Drop: 0, schedule.ToNextDay: 1, schedule.ToPreviousDay: -1} {
		t.Run(strconv.Itoa(direction), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				agreeWithDays(t, load(rapid.SampledFrom(twenty).Draw(t, "zone")), moves, direction)
			})
		})
	}
}

func agreeWithDays(t *rapid.T, zone *time.Location, moves schedule.OnSkipped, direction int) {
	year := rapid.IntRange(2004, 2034).Draw(t, "year")
	w := filteredWalk{zone: zone, due: map[time.Time]time.Time{}}
	f := &schedule.Filtered{Moves: moves, Zone: zone}
	for i := range rapid.IntRange(0, 2).Draw(t, "skip") {
		w.skip = append(w.skip, someDays(t, fmt.Sprintf("skip %d", i), year))
		f.Skip = append(f.Skip, w.skip[i].days(t))
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "only") {
		w.only = append(w.only, someDays(t, fmt.Sprintf("only %d", i), year))
		f.Only = append(f.Only, w.only[i].days(t))
	}
	hours := rapid.SampledFrom([]string{"9", "0", "2", "23", "1,13", "0,23"}).Draw(t, "hours")
	minute := rapid.SampledFrom([]string{"0", "30", "15,45"}).Draw(t, "minutes")
	rest := rapid.SampledFrom([]string{"* * *", "* * *", "* * MON-FRI", "1,15,31 * *", "LW * *"}).Draw(t, "days")
	expression := minute + " " + hours + " " + rest
	cron, err := schedule.ParseCron(expression, zone, 0)
	require.NoError(t, err)
	f.Grid = cron

	from, until := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(year+10, 1, 1, 0, 0, 0, 0, time.UTC)
	names := newNaive(t, "0 "+minute+" "+hours+" "+replaced(rest))
	due := map[time.Time]bool{}
	for shown := from.AddDate(0, 0, -40); shown.Before(until.AddDate(0, 0, 40)); shown = shown.Add(quarter) {
		if !names.names(shown) {
			continue
		}
		if at, ok := w.become(w.dueAt(shown), direction); ok && !at.Before(from) && at.Before(until) {
			due[at.UTC()] = true
		}
	}
	want := slices.SortedFunc(keysOf(due), time.Time.Compare)
	got := []time.Time{}
	for at := range f.After(from.Add(-1)) {
		if !at.Before(until) {
			break
		}
		got = append(got, at.UTC())
	}
	for i := range min(len(want), len(got)) {
		require.Equal(t, want[i], got[i], "%s, the %d-th", expression, i)
	}
	require.Len(t, got, len(want), expression)
	for i := range 20 {
		at := from.Add(time.Duration(rapid.Int64Range(0, int64(until.Sub(from))-1).Draw(t, "at")))
		first, _ := slices.BinarySearchFunc(want, at, time.Time.Compare)
		for first < len(want) && !want[first].After(at) {
			first++
		}
		if next, ok := f.Next(at); first < len(want) {
			require.True(t, ok && next.Equal(want[first]), "after %s: %s instead of %s", at, next, want[first])
		} else {
			require.True(t, !ok || !next.Before(until), "after %s: %s", at, next)
		}
		if i > 0 {
			continue // counting takes a while
		}
		count, last := schedule.Schedule{Grid: f}.Between(at, until.Add(-1))
		require.Equal(t, len(want)-first, count, "after %s", at)
		if count > 0 {
			require.True(t, last.Equal(want[len(want)-1]))
		}
	}
}

// replaced writes the names of days as numbers, for the oracle.
func replaced(rest string) string {
	if rest == "* * MON-FRI" {
		return "* * 1-5"
	}
	return rest
}

func keysOf(set map[time.Time]bool) func(func(time.Time) bool) {
	return func(yield func(time.Time) bool) {
		for at := range set {
			if !yield(at) {
				return
			}
		}
	}
}

func TestFilteredEndsIfNothingIsLeft(t *testing.T) {
	t.Parallel()
	every := schedule.NewDays(time.UTC, nil, nil, []time.Weekday{0, 1, 2, 3, 4, 5, 6})
	for _, moves := range []schedule.OnSkipped{schedule.Drop, schedule.ToNextDay, schedule.ToPreviousDay} {
		for _, grid := range []schedule.Grid{
			schedule.NewInterval(time.Unix(0, 0), 3600), schedule.Once{At: time.Unix(5, 0)}, schedule.Never{},
		} {
			began := time.Now()
			_, ok := (&schedule.Filtered{Grid: grid, Skip: []*schedule.Days{every}, Moves: moves, Zone: time.UTC}).Next(time.Unix(0, 0))
			assert.False(t, ok)
			assert.Less(t, time.Since(began), 5*time.Second, "a search is bounded")
		}
	}
}

func TestFilteredKeepsPartsOfASecond(t *testing.T) {
	t.Parallel()
	sunday := schedule.NewDays(time.UTC, nil, nil, []time.Weekday{time.Sunday})
	at := time.Date(2026, 11, 29, 12, 0, 0, 250_000, time.UTC)
	f := &schedule.Filtered{Grid: schedule.Once{At: at}, Skip: []*schedule.Days{sunday}, Moves: schedule.ToNextDay, Zone: time.UTC}
	next, ok := f.Next(at)
	assert.True(t, ok)
	assert.Equal(t, at.AddDate(0, 0, 1), next)
	s := schedule.Schedule{Grid: f, Start: at, End: at.AddDate(0, 0, 1).Add(-1)}
	_, ok = s.Next(at)
	assert.False(t, ok, "moved behind the end")
	f.Moves = schedule.ToPreviousDay
	_, ok = s.Next(at.AddDate(0, 0, -9))
	assert.False(t, ok, "moved before the start")
}

// TestFilteredMovesBackToAPartOfADay: what counts of a day of the job, by calendars in other zones,
// may begin at noon. Then an instant in the morning is none, and one in the evening is moved.
func TestFilteredMovesBackToAPartOfADay(t *testing.T) {
	t.Parallel()
	newYork := load("America/New_York")
	on := func(zone *time.Location) *schedule.Days {
		return naiveDays{zone: zone, dates: map[string]bool{"2034-05-20": true}}.days(t)
	}
	cron, err := schedule.ParseCron("15 0,23 31 * *", newYork, 0)
	require.NoError(t, err)
	f := &schedule.Filtered{
		Grid: cron, Moves: schedule.ToPreviousDay, Zone: newYork,
		Only: []*schedule.Days{on(load("Asia/Tokyo"))},
		Skip: []*schedule.Days{on(newYork)},
	}
	next, ok := f.Next(time.Date(2034, 1, 1, 0, 0, 0, 0, time.UTC))
	require.True(t, ok)
	require.Equal(t, time.Date(2034, 5, 19, 23, 15, 0, 0, newYork).UTC(), next.UTC())
}
