package schedule_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"punctual/internal/schedule"
)

// naiveRule says by a look at one day whether a rule names it.
type naiveRule struct {
	frequency, wkst string
	interval        int
	start           time.Time // as if it were in UTC
	monthdays       []int     // negative: from the end
	days            []string  // such as TU, 2TU, -1FR
}

var weekdays = []string{"SU", "MO", "TU", "WE", "TH", "FR", "SA"}

func (n naiveRule) names(day time.Time) bool {
	if day.Before(n.start.Truncate(24 * time.Hour)) {
		return false
	}
	byMonthday := slices.ContainsFunc(n.monthdays, func(wanted int) bool {
		return day.Day() == wanted || wanted < 0 && day.AddDate(0, 0, -wanted).Day() == 1
	})
	byDay := slices.ContainsFunc(n.days, func(wanted string) bool {
		nth, isOf := strings.CutSuffix(wanted, weekdays[day.Weekday()])
		first, last := (day.Day()+6)/7, (monthEnd(day)-day.Day())/7+1
		return isOf && (nth == "" || nth == strconv.Itoa(first) || nth == fmt.Sprintf("-%d", last))
	})
	byStart := true
	passed := 0
	switch n.frequency {
	case "YEARLY":
		byStart = day.Month() == n.start.Month() && day.Day() == n.start.Day()
		passed = day.Year() - n.start.Year()
	case "MONTHLY":
		byStart = day.Day() == n.start.Day()
		passed = (day.Year()-n.start.Year())*12 + int(day.Month()-n.start.Month())
	case "WEEKLY":
		byStart = day.Weekday() == n.start.Weekday()
		passed = int(n.weekOf(day).Sub(n.weekOf(n.start)).Hours()) / 24 / 7
	case "DAILY":
		passed = int(day.Sub(n.start.Truncate(24*time.Hour)).Hours()) / 24
	}
	if n.monthdays == nil && n.days == nil && !byStart {
		return false
	}
	return passed%n.interval == 0 && (n.monthdays == nil || byMonthday) && (n.days == nil || byDay)
}

func monthEnd(day time.Time) int {
	return time.Date(day.Year(), day.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// weekOf returns the first day of a week.
func (n naiveRule) weekOf(day time.Time) time.Time {
	day = day.Truncate(24 * time.Hour)
	for weekdays[day.Weekday()] != n.wkst {
		day = day.AddDate(0, 0, -1)
	}
	return day
}

func TestRuleAgreesWithAWalkOverDays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		zone := load(rapid.SampledFrom(twenty).Draw(t, "zone"))
		n := naiveRule{
			frequency: rapid.SampledFrom([]string{"DAILY", "WEEKLY", "WEEKLY", "MONTHLY", "MONTHLY", "YEARLY"}).Draw(t, "frequency"),
			interval:  rapid.IntRange(1, 5).Draw(t, "interval"), wkst: rapid.SampledFrom([]string{"MO", "SU", "WE"}).Draw(t, "wkst"),
			start: time.Date(rapid.IntRange(1995, 2030).Draw(t, "year"), 1, 1, 0, 0, 0, 0, time.UTC).
				AddDate(0, 0, rapid.IntRange(0, 365).Draw(t, "day")).
				Add(time.Duration(rapid.IntRange(0, 95).Draw(t, "quarter")) * quarter),
		}
		text := fmt.Sprintf("FREQ=%s;INTERVAL=%d;WKST=%s", n.frequency, n.interval, n.wkst)
		switch by := rapid.IntRange(0, 2).Draw(t, "by"); {
		case by == 1 && n.frequency == "MONTHLY":
			n.monthdays = rapid.SampledFrom([][]int{{15}, {1, 31}, {-1}, {30, -3}}).Draw(t, "days of the month")
			text += ";BYMONTHDAY=" + strings.Trim(strings.ReplaceAll(fmt.Sprint(n.monthdays), " ", ","), "[]")
		case by == 2 && n.frequency == "MONTHLY":
			n.days = rapid.SampledFrom([][]string{{"2TU"}, {"-1FR"}, {"1MO", "3WE", "-2SU"}, {"5TH"}, {"SA"}}).Draw(t, "days")
			text += ";BYDAY=" + strings.Join(n.days, ",")
		case by == 2 && n.frequency == "WEEKLY":
			n.days = rapid.SliceOfNDistinct(rapid.SampledFrom(weekdays), 1, 4, rapid.ID).Draw(t, "days")
			text += ";BYDAY=" + strings.Join(n.days, ",")
		}
		except := ""
		if rapid.Bool().Draw(t, "except") {
			except = n.start.Format("20060102T150405")
		}
		agreeWithRule(t, zone, n, text, except)
	})
}

// agreeWithRule compares ten years, from one that may be long after the start.
func agreeWithRule(t *rapid.T, zone *time.Location, n naiveRule, text, except string) {
	text = "DTSTART:" + n.start.Format("20060102T150405") + "\nRRULE:" + text
	if except != "" {
		text += "\nEXDATE:" + except
	}
	rule, err := schedule.ParseRule(text, zone)
	require.NoError(t, err, text)
	from := n.start.AddDate(rapid.IntRange(0, 40).Draw(t, "later"), 0, -2)
	until := from.AddDate(10, 0, 0)
	var want []time.Time
	for day := n.start.Truncate(24 * time.Hour); day.Before(until.AddDate(0, 0, 2)); day = day.AddDate(0, 0, 1) {
		shown := day.Add(n.start.Sub(n.start.Truncate(24 * time.Hour)))
		if !n.names(day) || shown.Format("20060102T150405") == except {
			continue
		}
		if shown.Before(from.AddDate(0, 0, -2)) {
			continue
		}
		at := dueAt(zone, shown)
		if last := len(want) - 1; at.Before(from) || !at.Before(until) || last >= 0 && want[last].Equal(at) {
			continue
		}
		want = append(want, at)
		require.Equal(t, !shownBy(zone, at).Equal(shown), rule.Moved(at), "%s at %s", text, at.In(zone))
	}
	var got []time.Time
	for next, ok := rule.Next(from.Add(-1)); ok && next.Before(until); next, ok = rule.Next(next) {
		got = append(got, next)
	}
	for i := range min(len(want), len(got)) {
		require.Equal(t, want[i], got[i], "%s, the %d-th", text, i)
	}
	require.Len(t, got, len(want), text)
	count, last := schedule.Schedule{Grid: rule}.Between(from.Add(-1), until.Add(-1))
	require.Equal(t, len(want), count)
	if count > 0 {
		require.Equal(t, want[count-1], last)
	}
}

func TestRuleKnowsWhatPeopleWrite(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ text, after, want string }{
		{"DTSTART:20260106T090000\nRRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=TU", "2026-03-20", "2026-03-31T09:00:00+02:00 2026-04-14T09:00:00+02:00"},
		{"DTSTART:20260106T090000\nRRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "2026-05-01", "2026-05-29T09:00:00+02:00 2026-06-30T09:00:00+02:00"},
		{"dtstart:20260329\r\nrrule:freq=daily;count=2;byhour=2;byminute=30", "2026-01-01", "2026-03-29T03:00:00+02:00 2026-03-30T02:30:00+02:00"},
		{"DTSTART:20261025T023000\nRRULE:FREQ=DAILY;UNTIL=20261025T003000Z", "2026-01-01", "2026-10-25T02:30:00+02:00"},
		{"DTSTART:20261023T023000\nEXDATE:20261024T023000\nRRULE:FREQ=DAILY;UNTIL=20261025", "2026-01-01", "2026-10-23T02:30:00+02:00 2026-10-25T02:30:00+02:00"},
		{"DTSTART;VALUE=DATE:20240229\nRRULE:FREQ=YEARLY", "2025-01-01", "2028-02-29T00:00:00+01:00 2032-02-29T00:00:00+01:00"},
		{"DTSTART:19970105T083000\nRRULE:FREQ=YEARLY;INTERVAL=2;BYMONTH=1;BYDAY=SU;BYHOUR=8,9;BYMINUTE=30", "2027-01-31T07:45:00Z", "2027-01-31T09:30:00+01:00 2029-01-07T08:30:00+01:00"},
		{"DTSTART:19970512T090000\nRRULE:FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", "2026-01-01", "2026-05-11T09:00:00+02:00 2027-05-17T09:00:00+02:00"},
	} {
		zone := load("Europe/Berlin")
		rule, err := schedule.ParseRule(test.text, zone)
		require.NoError(t, err, test.text)
		after, err := time.Parse(time.RFC3339, test.after)
		if err != nil {
			after, err = time.ParseInLocation(time.DateOnly, test.after, zone)
			require.NoError(t, err)
		}
		var got []string
		for at := range rule.After(after) {
			if got = append(got, at.In(zone).Format(time.RFC3339)); len(got) == 2 {
				break
			}
		}
		assert.Equal(t, test.want, strings.Join(got, " "), test.text)
	}
}

func TestParseRuleRefuses(t *testing.T) {
	t.Parallel()
	start := "DTSTART:20260106T090000\nRRULE:"
	for text, reason := range map[string]string{
		"":                        "needs a line with DTSTART",
		"RRULE:FREQ=DAILY":        "needs a line with DTSTART",
		"DTSTART:20260106T090000": "needs a line with RRULE",
		"DTSTART:20260106T090000Z\nRRULE:FREQ=DAILY":                   "not a local time",
		"DTSTART;TZID=Europe/Berlin:20260106T090000\nRRULE:FREQ=DAILY": "give the time zone as timeZone",
		"DTSTART;X=1:20260106T090000\nRRULE:FREQ=DAILY":                "not known",
		start + "FREQ=DAILY\nRRULE:FREQ=DAILY":                         "more than one RRULE",
		"FREQ=WEEKLY;BYDAY=TU":                                         "begins with RRULE:",
		start + "FREQ=DAILY\nRDATE:20260106T090000":                    `"RDATE" is not known`,
		start + "FREQ=HOURLY":                                          "not supported",
		start + "FREQ=SECONDLY":                                        "not supported",
		start + "INTERVAL=2":                                           "FREQ is required",
		start + "FREQ=DAILY;INTERVAL=0":                                "INTERVAL is not within",
		start + "FREQ=DAILY;COUNT=367":                                 "COUNT is not within",
		start + "FREQ=DAILY;COUNT=2;UNTIL=20260106":                    "only one of",
		start + "FREQ=DAILY;BYEASTER=0":                                "not known",
		start + "FREQ=WEEKLY;BYDAY=2TU":                                "every second week is INTERVAL=2",
		start + "FREQ=MONTHLY;BYMONTHDAY=32":                           "bymonthday must be between",
		start + "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30":                   "never be due",
		start + "FREQ=DAILY;UNTIL=20250101":                            "never be due",
		start + "FREQ=DAILY;COUNT=1\nEXDATE:20260106T090000":           "never be due",
		start + "FREQ=DAILY;FREQ=DAILY":                                "more than one",
	} {
		began := time.Now()
		_, err := schedule.ParseRule(text, time.UTC)
		var wrong *schedule.RuleError
		require.ErrorAs(t, err, &wrong, text)
		assert.Contains(t, wrong.Reason, reason, text)
		assert.Less(t, time.Since(began), 5*time.Second, text)
	}
}

// FuzzParseRule: any text is either refused, or gives occurrences that go forward.
func FuzzParseRule(f *testing.F) {
	for _, rule := range []string{"FREQ=WEEKLY;INTERVAL=2;BYDAY=TU", "FREQ=MONTHLY;BYSETPOS=-1;BYDAY=MO,FR", "FREQ=YEARLY;BYWEEKNO=53", "FREQ=DAILY;COUNT=3"} {
		f.Add("DTSTART:20260106T090000\nRRULE:"+rule, int64(1774747800))
	}
	zone := load("America/Santiago")
	f.Fuzz(func(t *testing.T, text string, seconds int64) {
		if len(text) > 1000 {
			return
		}
		rule, err := schedule.ParseRule(text, zone)
		if err != nil {
			requirePrintable(t, err)
			return
		}
		at := time.Unix(seconds%253402300800, 0)
		for range 20 {
			next, ok := rule.Next(at)
			if !ok {
				return
			}
			require.True(t, next.After(at))
			at = next
		}
	})
}
