package schedule_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/schedule"
)

// parse makes a Cron for a zone by name; the seed is 0.
func parse(tb testing.TB, expression, zone string) schedule.Cron {
	tb.Helper()
	location, err := time.LoadLocation(zone)
	require.NoError(tb, err)
	cron, err := schedule.ParseCron(expression, location, 0)
	require.NoError(tb, err, expression)
	return cron
}

// instant reads an RFC 3339 instant, in UTC.
func instant(tb testing.TB, text string) time.Time {
	tb.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	require.NoError(tb, err)
	return at.UTC()
}

func TestCronNextInUTC(t *testing.T) {
	t.Parallel()
	// From Wednesday 2026-07-15 10:20:30 on.
	for _, c := range []struct {
		expression string
		want       []string
	}{
		{"* * * * *", []string{"2026-07-15T10:21:00Z", "2026-07-15T10:22:00Z"}},
		{"* * * * * *", []string{"2026-07-15T10:20:31Z", "2026-07-15T10:20:32Z"}},
		{"*/20 * * * * *", []string{"2026-07-15T10:20:40Z", "2026-07-15T10:21:00Z"}},
		{"30 20 10 * * *", []string{"2026-07-16T10:20:30Z"}},
		{"20 10 * * *", []string{"2026-07-16T10:20:00Z"}},
		{"*/15 * * * *", []string{"2026-07-15T10:30:00Z", "2026-07-15T10:45:00Z", "2026-07-15T11:00:00Z"}},
		{"5/25 * * * *", []string{"2026-07-15T10:30:00Z", "2026-07-15T10:55:00Z", "2026-07-15T11:05:00Z"}},
		{"10-30/10,45 8,12 * * *", []string{"2026-07-15T12:10:00Z", "2026-07-15T12:20:00Z", "2026-07-15T12:30:00Z", "2026-07-15T12:45:00Z", "2026-07-16T08:10:00Z"}},
		{" \t0  0\t1 1 * ", []string{"2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"}},
		{"0 0 1 jan,Apr,JUL-SEP *", []string{"2026-08-01T00:00:00Z", "2026-09-01T00:00:00Z", "2027-01-01T00:00:00Z"}},
		{"0 0 1 1/6 *", []string{"2027-01-01T00:00:00Z", "2027-07-01T00:00:00Z"}},
		{"0 0 * * mon-fri/2", []string{"2026-07-17T00:00:00Z", "2026-07-20T00:00:00Z", "2026-07-22T00:00:00Z"}},
		{"0 0 * * 0", []string{"2026-07-19T00:00:00Z", "2026-07-26T00:00:00Z"}},
		{"0 0 * * 7", []string{"2026-07-19T00:00:00Z", "2026-07-26T00:00:00Z"}},
		{"0 0 * * 5-7", []string{"2026-07-17T00:00:00Z", "2026-07-18T00:00:00Z", "2026-07-19T00:00:00Z", "2026-07-24T00:00:00Z"}},
		{"0 0 * * SAT-SUN", []string{"2026-07-18T00:00:00Z", "2026-07-19T00:00:00Z", "2026-07-25T00:00:00Z"}},
		{"0 0 * * SUN-MON", []string{"2026-07-19T00:00:00Z", "2026-07-20T00:00:00Z", "2026-07-26T00:00:00Z"}},
		{"0 0 * * 7-1", []string{"2026-07-19T00:00:00Z", "2026-07-20T00:00:00Z", "2026-07-26T00:00:00Z"}},
		{"0 0 * * 7/3", []string{"2026-07-18T00:00:00Z", "2026-07-19T00:00:00Z", "2026-07-22T00:00:00Z"}},

		// Both day fields: a date need be in one only, unless a field begins with * or ?.
		{"0 0 13 * FRI", []string{"2026-07-17T00:00:00Z", "2026-07-24T00:00:00Z", "2026-07-31T00:00:00Z", "2026-08-07T00:00:00Z", "2026-08-13T00:00:00Z", "2026-08-14T00:00:00Z"}},
		{"0 0 ? * FRI", []string{"2026-07-17T00:00:00Z", "2026-07-24T00:00:00Z"}},
		{"0 0 13 * ?", []string{"2026-08-13T00:00:00Z", "2026-09-13T00:00:00Z"}},
		{"0 0 */2 * FRI", []string{"2026-07-17T00:00:00Z", "2026-07-31T00:00:00Z", "2026-08-07T00:00:00Z", "2026-08-21T00:00:00Z"}},
		{"0 0 17,18 * */5", []string{"2026-07-17T00:00:00Z", "2026-09-18T00:00:00Z"}},
		{"0 0 1-31 * FRI", []string{"2026-07-16T00:00:00Z", "2026-07-17T00:00:00Z"}},

		// L and #.
		{"0 0 L * *", []string{"2026-07-31T00:00:00Z", "2026-08-31T00:00:00Z", "2026-09-30T00:00:00Z"}},
		{"0 0 L 2 *", []string{"2027-02-28T00:00:00Z", "2028-02-29T00:00:00Z", "2029-02-28T00:00:00Z"}},
		{"0 0 L-3 * ?", []string{"2026-07-28T00:00:00Z", "2026-08-28T00:00:00Z", "2026-09-27T00:00:00Z"}},
		{"0 0 L-30 * ?", []string{"2026-08-01T00:00:00Z", "2026-10-01T00:00:00Z"}},
		{"0 0 1,L * *", []string{"2026-07-31T00:00:00Z", "2026-08-01T00:00:00Z", "2026-08-31T00:00:00Z"}},
		{"0 0 * * 5L", []string{"2026-07-31T00:00:00Z", "2026-08-28T00:00:00Z", "2026-09-25T00:00:00Z"}},
		{"0 0 * * friL,mon#1", []string{"2026-07-31T00:00:00Z", "2026-08-03T00:00:00Z", "2026-08-28T00:00:00Z", "2026-09-07T00:00:00Z"}},
		{"0 0 * * 7L", []string{"2026-07-26T00:00:00Z", "2026-08-30T00:00:00Z"}},
		{"0 0 * * MON#2", []string{"2026-08-10T00:00:00Z", "2026-09-14T00:00:00Z"}},
		{"0 0 * * 7#5", []string{"2026-08-30T00:00:00Z", "2026-11-29T00:00:00Z"}},
		{"0 0 L * FRI#3", []string{"2026-07-17T00:00:00Z", "2026-07-31T00:00:00Z", "2026-08-21T00:00:00Z", "2026-08-31T00:00:00Z"}},

		{"@yearly", []string{"2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"}},
		{"@Annually", []string{"2027-01-01T00:00:00Z"}},
		{"@monthly", []string{"2026-08-01T00:00:00Z", "2026-09-01T00:00:00Z"}},
		{"@weekly", []string{"2026-07-19T00:00:00Z", "2026-07-26T00:00:00Z"}},
		{"@daily", []string{"2026-07-16T00:00:00Z", "2026-07-17T00:00:00Z"}},
		{" @midnight ", []string{"2026-07-16T00:00:00Z"}},
		{"@hourly", []string{"2026-07-15T11:00:00Z", "2026-07-15T12:00:00Z"}},

		// Rare ones.
		{"0 0 29 2 *", []string{"2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"}},
		{"0 0 ? 2 MON#5", []string{"2044-02-29T00:00:00Z", "2072-02-29T00:00:00Z", "2112-02-29T00:00:00Z"}},
		{"59 59 23 31 12 *", []string{"2026-12-31T23:59:59Z", "2027-12-31T23:59:59Z"}},
	} {
		cron := parse(t, c.expression, "UTC")
		at := instant(t, "2026-07-15T10:20:30Z")
		for _, want := range c.want {
			next, ok := cron.Next(at)
			require.True(t, ok, c.expression)
			require.Equal(t, instant(t, want), next, "%s after %s", c.expression, at)
			require.False(t, cron.Moved(next), "UTC moves nothing")
			at = next
		}
	}
}

func TestCronNextAcrossCenturies(t *testing.T) {
	t.Parallel()
	leapDay := parse(t, "0 0 29 2 *", "UTC")
	next, ok := leapDay.Next(instant(t, "2096-03-01T00:00:00Z"))
	require.True(t, ok)
	require.Equal(t, instant(t, "2104-02-29T00:00:00Z"), next, "2100 is no leap year")
	next, ok = leapDay.Next(instant(t, "1996-03-01T00:00:00Z"))
	require.True(t, ok)
	require.Equal(t, instant(t, "2000-02-29T00:00:00Z"), next, "2000 is one")
}

func TestCronNextIsAboutTheInstantOnly(t *testing.T) {
	t.Parallel()
	cron := parse(t, "0 12 * * *", "Europe/Berlin")
	noon := instant(t, "2026-07-15T10:00:00Z")
	for _, from := range []time.Time{noon, noon.In(time.FixedZone("", 5*3600)), noon.Add(time.Nanosecond)} {
		next, ok := cron.Next(from)
		require.True(t, ok)
		require.Equal(t, noon.AddDate(0, 0, 1), next, "strictly after %s, in UTC", from)
	}
	next, ok := cron.Next(noon.Add(-time.Nanosecond))
	require.True(t, ok)
	require.Equal(t, noon, next, "a fraction of a second before")
	next, ok = cron.Next(instant(t, "1960-07-15T10:59:59.5Z"))
	require.True(t, ok)
	require.Equal(t, instant(t, "1960-07-15T11:00:00Z"), next, "a fraction before 1970")
}

func TestCronNextAtTheEndsOfTime(t *testing.T) {
	t.Parallel()
	cron := parse(t, "0 0 1 1 *", "UTC")
	next, ok := cron.Next(time.Time{}.AddDate(-5000, 0, 0))
	require.True(t, ok)
	require.Equal(t, time.Time{}, next, "the year 1 is the first")
	next, ok = cron.Next(instant(t, "9998-12-31T00:00:00Z"))
	require.True(t, ok)
	require.Equal(t, instant(t, "9999-01-01T00:00:00Z"), next)
	for _, late := range []time.Time{instant(t, "9999-01-01T00:00:00Z"), time.Unix(1<<62, 0)} {
		_, ok = cron.Next(late)
		require.False(t, ok, "after the year 9999")
	}
	_, ok = schedule.Cron{}.Next(time.Time{})
	require.False(t, ok, "the zero Cron")
	require.False(t, schedule.Cron{}.Moved(time.Time{}), "the zero Cron")
}

func TestCronWithoutAZoneIsInUTC(t *testing.T) {
	t.Parallel()
	cron, err := schedule.ParseCron("0 12 * * *", nil, 0)
	require.NoError(t, err)
	next, ok := cron.Next(instant(t, "2026-07-15T10:20:30Z"))
	require.True(t, ok)
	require.Equal(t, instant(t, "2026-07-15T12:00:00Z"), next)
}

// What package time says about the bounds of a zone is wrong on the last day of a leap year beyond
// its tables.
func TestCronNextBeyondTheTablesOfAZone(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"America/New_York", "Europe/Berlin", "Australia/Sydney", "Australia/Lord_Howe"} {
		location, err := time.LoadLocation(zone)
		require.NoError(t, err)
		cron := parse(t, "0 */6 * * *", zone)
		at := time.Date(2040, 12, 29, 18, 0, 0, 0, location)
		for range 20 {
			next, ok := cron.Next(at)
			require.True(t, ok)
			require.Equal(t, at.Add(6*time.Hour).UTC(), next, zone)
			at = next
		}
	}
}

func TestCronNextAllocatesNothing(t *testing.T) {
	cron := parse(t, "0 0 29 2 *", "America/New_York")
	at := instant(t, "2026-07-15T10:20:30Z")
	require.Zero(t, testing.AllocsPerRun(100, func() { cron.Next(at) }))
}
