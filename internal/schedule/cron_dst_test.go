package schedule_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Times are written as the local clock shows them, with the offset; those that the change moved
// have a * after them.
func TestCronWhenTheClockIsChanged(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, zone, expression, after, want string }{
		// Berlin's gap: 02:00 to 03:00 on 2026-03-29.
		{"fixed in the gap", "Europe/Berlin", "30 2 * * *", "2026-03-28T12:00:00+01:00", "29T03:00:00+02:00* 30T02:30:00+02:00"},
		{"fixed at the gap's start", "Europe/Berlin", "0 2 * * *", "2026-03-28T12:00:00+01:00", "29T03:00:00+02:00* 30T02:00:00+02:00"},
		{"fixed at the gap's end", "Europe/Berlin", "0 3 * * *", "2026-03-28T12:00:00+01:00", "29T03:00:00+02:00 30T03:00:00+02:00"},
		{"fixed, two in the gap are one", "Europe/Berlin", "0,30 2 * * *", "2026-03-28T12:00:00+01:00", "29T03:00:00+02:00* 30T02:00:00+02:00 30T02:30:00+02:00"},
		{"fixed, in the gap and after", "Europe/Berlin", "15 2,3 * * *", "2026-03-28T12:00:00+01:00", "29T03:00:00+02:00* 29T03:15:00+02:00 30T02:15:00+02:00"},
		{"fixed, in the gap and at its end", "Europe/Berlin", "0 2,3 * * *", "2026-03-28T12:00:00+01:00", "29T03:00:00+02:00 30T02:00:00+02:00"},
		{"fixed, a range of hours", "Europe/Berlin", "0 1-4 * * *", "2026-03-28T12:00:00+01:00", "29T01:00:00+01:00 29T03:00:00+02:00 29T04:00:00+02:00"},
		{"fixed, with a second", "Europe/Berlin", "15 30 2 * * *", "2026-03-28T12:00:00+01:00", "29T03:00:00+02:00* 30T02:30:15+02:00"},
		{"fixed, on Sundays", "Europe/Berlin", "30 2 * * SUN", "2026-03-28T12:00:00+01:00", "29T03:00:00+02:00* 05T02:30:00+02:00"},
		{"fixed, not on Sundays", "Europe/Berlin", "30 2 * * MON-SAT", "2026-03-28T12:00:00+01:00", "30T02:30:00+02:00"},
		{"quarters go on", "Europe/Berlin", "*/15 * * * *", "2026-03-29T01:40:00+01:00", "29T01:45:00+01:00 29T03:00:00+02:00 29T03:15:00+02:00"},
		{"hourly goes on", "Europe/Berlin", "30 * * * *", "2026-03-29T01:00:00+01:00", "29T01:30:00+01:00 29T03:30:00+02:00 29T04:30:00+02:00"},
		{"every hour of a range that is all", "Europe/Berlin", "30 0-23 * * *", "2026-03-29T01:00:00+01:00", "29T01:30:00+01:00 29T03:30:00+02:00 29T04:30:00+02:00"},
		{"even hours", "Europe/Berlin", "0 */2 * * *", "2026-03-28T23:00:00+01:00", "29T00:00:00+01:00 29T03:00:00+02:00* 29T04:00:00+02:00"},
		{"half past even hours", "Europe/Berlin", "30 */2 * * *", "2026-03-28T23:00:00+01:00", "29T00:30:00+01:00 29T03:30:00+02:00* 29T04:30:00+02:00"},
		{"a window around the gap", "Europe/Berlin", "*/30 1-3 * * *", "2026-03-29T00:00:00+01:00", "29T01:00:00+01:00 29T01:30:00+01:00 29T03:00:00+02:00 29T03:30:00+02:00 30T01:00:00+02:00"},
		{"a window that is the gap", "Europe/Berlin", "*/20 2 * * *", "2026-03-29T00:00:00+01:00", "29T03:00:00+02:00* 29T03:20:00+02:00* 29T03:40:00+02:00* 30T02:00:00+02:00"},
		{"seconds of one minute in the gap", "Europe/Berlin", "*/30 30 2 * * *", "2026-03-29T00:00:00+01:00", "29T03:00:00+02:00* 30T02:30:00+02:00 30T02:30:30+02:00"},

		// Berlin's overlap: 02:00 to 03:00 on 2026-10-25.
		{"fixed in the overlap", "Europe/Berlin", "30 2 * * *", "2026-10-24T12:00:00+02:00", "25T02:30:00+02:00 26T02:30:00+01:00"},
		{"fixed, from the second pass", "Europe/Berlin", "30 2 * * *", "2026-10-25T02:10:00+01:00", "26T02:30:00+01:00"},
		{"fixed at the overlap's end", "Europe/Berlin", "0 3 * * *", "2026-10-24T12:00:00+02:00", "25T03:00:00+01:00 26T03:00:00+01:00"},
		{"fixed, many", "Europe/Berlin", "0,30 1-3 * * *", "2026-10-25T01:10:00+02:00", "25T01:30:00+02:00 25T02:00:00+02:00 25T02:30:00+02:00 25T03:00:00+01:00"},
		{"quarters go on", "Europe/Berlin", "*/15 * * * *", "2026-10-25T02:40:00+02:00", "25T02:45:00+02:00 25T02:00:00+01:00 25T02:15:00+01:00"},
		{"hourly goes on", "Europe/Berlin", "30 * * * *", "2026-10-25T02:00:00+02:00", "25T02:30:00+02:00 25T02:30:00+01:00 25T03:30:00+01:00"},
		{"even hours", "Europe/Berlin", "0 */2 * * *", "2026-10-24T23:00:00+02:00", "25T00:00:00+02:00 25T02:00:00+02:00 25T04:00:00+01:00"},
		{"a window around the overlap", "Europe/Berlin", "*/30 1-2 * * *", "2026-10-25T01:10:00+02:00", "25T01:30:00+02:00 25T02:00:00+02:00 25T02:30:00+02:00 25T02:00:00+01:00 25T02:30:00+01:00 26T01:00:00+01:00"},
		{"a window that is the overlap", "Europe/Berlin", "*/30 2 * * *", "2026-10-25T00:00:00+02:00", "25T02:00:00+02:00 25T02:30:00+02:00 25T02:00:00+01:00 25T02:30:00+01:00 26T02:00:00+01:00"},
		{"seconds of one minute in the overlap", "Europe/Berlin", "*/30 30 2 * * *", "2026-10-25T00:00:00+02:00", "25T02:30:00+02:00 25T02:30:30+02:00 26T02:30:00+01:00"},

		// New York's overlap, 01:00 to 02:00 on 2026-11-01, begins before the job's hour.
		{"even hours", "America/New_York", "0 */2 * * *", "2026-10-31T23:00:00-04:00", "01T00:00:00-04:00 01T02:00:00-05:00 01T04:00:00-05:00"},
		{"odd hours", "America/New_York", "0 1/2 * * *", "2026-10-31T23:30:00-04:00", "01T01:00:00-04:00 01T03:00:00-05:00"},

		// Lord Howe changes by half an hour: the gap is 02:00 to 02:30 on 2026-10-04, the overlap
		// 01:30 to 02:00 on 2026-04-05.
		{"fixed in the gap", "Australia/Lord_Howe", "15 2 * * *", "2026-10-03T12:00:00+10:30", "04T02:30:00+11:00* 05T02:15:00+11:00"},
		{"half hours go on", "Australia/Lord_Howe", "*/30 * * * *", "2026-10-04T01:10:00+10:30", "04T01:30:00+10:30 04T02:30:00+11:00 04T03:00:00+11:00"},
		{"no hour is skipped", "Australia/Lord_Howe", "0 * * * *", "2026-10-04T00:30:00+10:30", "04T01:00:00+10:30 04T02:30:00+11:00* 04T03:00:00+11:00"},
		{"fixed in the overlap", "Australia/Lord_Howe", "45 1 * * *", "2026-04-04T12:00:00+11:00", "05T01:45:00+11:00 06T01:45:00+10:30"},
		{"half hours go on", "Australia/Lord_Howe", "*/30 * * * *", "2026-04-05T01:10:00+11:00", "05T01:30:00+11:00 05T01:30:00+10:30 05T02:00:00+10:30"},
		{"no hour is doubled", "Australia/Lord_Howe", "45 * * * *", "2026-04-05T01:10:00+11:00", "05T01:45:00+11:00 05T02:45:00+10:30"},

		// Midnight does not exist.
		{"Cairo", "Africa/Cairo", "0 0 * * *", "2026-04-23T12:00:00+02:00", "24T01:00:00+03:00* 25T00:00:00+03:00"},
		{"Santiago", "America/Santiago", "@daily", "2026-09-05T12:00:00-04:00", "06T01:00:00-03:00* 07T00:00:00-03:00"},
		{"Beirut", "Asia/Beirut", "@weekly", "2026-03-28T12:00:00+02:00", "29T01:00:00+03:00* 05T00:00:00+03:00"},
		{"Havana", "America/Havana", "30 0 8 3 *", "2026-03-07T12:00:00-05:00", "08T01:00:00-04:00* 08T00:30:00-05:00"},
		// Midnight is shown twice, or the last hour of a day is.
		{"Havana", "America/Havana", "@daily", "2026-10-31T12:00:00-04:00", "01T00:00:00-04:00 02T00:00:00-05:00"},
		{"Santiago", "America/Santiago", "30 23 * * *", "2026-04-04T12:00:00-03:00", "04T23:30:00-03:00 05T23:30:00-04:00"},
		{"Santiago's Saturday has 25 hours", "America/Santiago", "0 * * * SAT", "2026-04-04T22:30:00-03:00", "04T23:00:00-03:00 04T23:00:00-04:00 11T00:00:00-04:00"},

		// Apia has no 2011-12-30.
		{"fixed on the lost day", "Pacific/Apia", "0 12 * * *", "2011-12-29T00:00:00-10:00", "29T12:00:00-10:00 31T00:00:00+14:00* 31T12:00:00+14:00"},
		{"midnight of the lost day", "Pacific/Apia", "0 0 * * *", "2011-12-28T12:00:00-10:00", "29T00:00:00-10:00 31T00:00:00+14:00 01T00:00:00+14:00"},
		{"the lost day of a month", "Pacific/Apia", "0 9 30 * *", "2011-12-01T00:00:00-10:00", "31T00:00:00+14:00* 30T09:00:00+14:00"},
		{"hourly goes on", "Pacific/Apia", "@hourly", "2011-12-29T22:30:00-10:00", "29T23:00:00-10:00 31T00:00:00+14:00 31T01:00:00+14:00"},
		{"Kwajalein's lost day", "Pacific/Kwajalein", "0 12 * * *", "1993-08-20T00:00:00-12:00", "20T12:00:00-12:00 22T00:00:00+12:00* 22T12:00:00+12:00"},

		// Offsets that were changed by law.
		{"Caracas back by 30 minutes", "America/Caracas", "45 2 * * *", "2007-12-08T12:00:00-04:00", "09T02:45:00-04:00 10T02:45:00-04:30"},
		{"Caracas forward by 30 minutes", "America/Caracas", "45 2 * * *", "2016-04-30T12:00:00-04:30", "01T03:00:00-04:00* 02T02:45:00-04:00"},
		{"Pyongyang back by 30 minutes", "Asia/Pyongyang", "45 23 * * *", "2015-08-14T12:00:00+09:00", "14T23:45:00+09:00 15T23:45:00+08:30"},
		{"Pyongyang forward by 30 minutes", "Asia/Pyongyang", "45 23 * * *", "2018-05-04T12:00:00+08:30", "05T00:00:00+09:00* 05T23:45:00+09:00"},
		{"Volgograd back by an hour", "Europe/Volgograd", "30 1 * * *", "2020-12-26T12:00:00+04:00", "27T01:30:00+04:00 28T01:30:00+03:00"},
		{"Troll by two hours", "Antarctica/Troll", "0 */2 * * *", "2026-10-25T00:30:00+02:00", "25T02:00:00+02:00 25T02:00:00+00:00 25T04:00:00+00:00"},
	} {
		cron := parse(t, c.expression, c.zone)
		zone, err := time.LoadLocation(c.zone)
		require.NoError(t, err)
		at := instant(t, c.after)
		var got []string
		for range strings.FieldsSeq(c.want) {
			next, ok := cron.Next(at)
			require.True(t, ok, c.name)
			text := next.In(zone).Format("02T15:04:05-07:00")
			if cron.Moved(next) {
				text += "*"
			}
			got = append(got, text)
			at = next
		}
		require.Equal(t, c.want, strings.Join(got, " "), "%s: %s: %s", c.zone, c.name, c.expression)
	}
}
