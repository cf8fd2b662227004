package schedule_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"punctual/internal/schedule"
)

func TestParseCronSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ expression, field, reason string }{
		{"", "expression", "it is empty"},
		{" \t ", "expression", "it is empty"},
		{"* * * *", "expression", "this has 4"},
		{"* * * * * * *", "expression", "this has 7"},
		{"*\u00a0* * * *", "expression", "this has 4"},
		{"CRON_TZ=Europe/Berlin 0 0 * * *", "expression", "give it as timeZone"},
		{"tz=UTC 0 0 * * *", "expression", "give it as timeZone"},
		{"@every 5m", "expression", "intervalInSeconds"},
		{"@reboot", "expression", "@reboot is not supported"},
		{"@daily 5", "expression", `"@DAILY 5" is unknown`},
		{"@fortnightly", "expression", `"@FORTNIGHTLY" is unknown; there are @yearly`},

		{"60 * * * *", "minute", `"60" is not within 0 to 59`},
		{"* 24 * * *", "hour", `"24" is not within 0 to 23`},
		{"60 * * * * *", "second", `"60" is not within 0 to 59`},
		{"* * 0 * *", "day of month", `"0" is not within 1 to 31`},
		{"* * 32 * *", "day of month", `"32" is not within 1 to 31`},
		{"* * * 13 *", "month", `"13" is not within 1 to 12`},
		{"* * * 0 *", "month", `"0" is not within 1 to 12`},
		{"* * * * 8", "day of week", `"8" is not within 0 to 7`},
		{"99999999999999999999999 * * * *", "minute", "is not within 0 to 59"},
		{"-1 * * * *", "minute", `"-1" is not a range: an end is missing`},
		{"+1 * * * *", "minute", `"+1" is not a number`},
		{"1.5 * * * *", "minute", `"1.5" is not a number`},
		{"٣ * * * *", "minute", "is not a number"},
		{"*5 * * * *", "minute", `"*5" is not a number`},
		{"MON * * * *", "minute", `"MON" is not a number`},
		{"* * * MON *", "month", `"MON" is neither a number nor a name such as FEB`},
		{"* * * * JAN", "day of week", `"JAN" is neither a number nor a name such as MON`},
		{"* * * * monday", "day of week", `"MONDAY" is neither`},
		{"* * * * ſun", "day of week", "is neither"},
		{"* * * * \x00", "day of week", `"\x00" is neither`},
		{"\xff * * * *", "minute", "is not a number"},

		{"1- * * * *", "minute", `"1-" is not a range: an end is missing`},
		{"1-2-3 * * * *", "minute", `"2-3" is not a number`},
		{"1,,2 * * * *", "minute", "an item of the list is empty"},
		{", * * * *", "minute", "an item of the list is empty"},
		{"1-59/0 * * * *", "minute", "a step has to be at least 1"},
		{"*/ * * * *", "minute", `the step "" is not a number`},
		{"*/-1 * * * *", "minute", `the step "-1" is not a number`},
		{"*/5/5 * * * *", "minute", `the step "5/5" is not a number`},
		{"/5 * * * *", "minute", "such as */5"},
		{"*/90 * * * *", "minute", "larger than the 60 values"},
		{"0 */25 * * *", "hour", "larger than the 24 values"},
		{"? * * * *", "minute", "? stands in the day fields only"},

		{"0 L * * *", "hour", "L and # stand in the day fields only"},
		{"0 0 * 1#2 *", "month", "L and # stand in the day fields only"},
		{"0 0 W * *", "day of month", "nearest to a day of the month, such as 15W"},
		{"0 0 32W * *", "day of month", "nearest to a day of the month, such as 15W"},
		{"0 0 L-3W * *", "day of month", "is not the last day less 0 to 30 days"},
		{"0 0 1-15W * *", "day of month", "nearest to a day of the month, such as 15W"},
		{"0 0 15W/2 * *", "day of month", "cannot have a W here"},
		{"0 0 * * 5W", "day of week", `"5W"`},
		{"0 0 L-31 * *", "day of month", "such as L-3"},
		{"0 0 L- * *", "day of month", "such as L-3"},
		{"0 0 L/2 * *", "day of month", `"L" is not a number`},
		{"0 0 * * L", "day of week", "such as 5L or FRIL"},
		{"0 0 * * 8L", "day of week", "such as 5L or FRIL"},
		{"0 0 * * MON#0", "day of week", "such as MON#2"},
		{"0 0 * * MON#6", "day of week", "such as MON#2"},
		{"0 0 * * MON#", "day of week", "such as MON#2"},
		{"0 0 * * #1", "day of week", "such as MON#2"},
		{"0 0 * * 1-3#1", "day of week", "such as MON#2"},

		{"H(5) * * * *", "minute", "is not like H(0-29)"},
		{"H(0-29 * * * *", "minute", "is not like H(0-29)"},
		{"H() * * * *", "minute", "is not like H(0-29)"},
		{"H(0-60) * * * *", "minute", `"60" is not within 0 to 59`},
		{"H5 * * * *", "minute", `"H5" is not a number`},
		{"H-5 * * * *", "minute", `"H" is not a number`},
		{"5) * * * *", "minute", `"5)" is not a number`},
		{"0 0 H(1-31) * *", "day of month", "up to 28"},

		{"0 0 30 2 *", "day of month", "never"},
		{"0 0 31 4,6 *", "day of month", "never"},
		{"0 0 31 2,4,6,9,11 ?", "day of month", "never"},
		{"0 0 L-29 2 *", "day of month", "never"},
		{"0 0 */15 2 MON#5", "day of week", "never"},
		{"0 0 */8 * MON#5", "day of week", "never"},
	} {
		_, err := schedule.ParseCron(c.expression, time.UTC, 0)
		var wrong *schedule.CronError
		require.ErrorAs(t, err, &wrong, "%q", c.expression)
		require.Equal(t, c.field, wrong.Field, "%q: %s", c.expression, wrong.Reason)
		require.Contains(t, wrong.Reason, c.reason, "%q", c.expression)
		require.Equal(t, "cron: "+wrong.Field+": "+wrong.Reason, err.Error())
	}
}

func TestParseCronTakesLongInputInItsStride(t *testing.T) {
	t.Parallel()
	const many = 100_000
	for _, expression := range []string{
		strings.Repeat("*", many),
		strings.Repeat("* ", many),
		strings.Repeat(",", many) + " * * * *",
		strings.Repeat("é", many) + " * * * *",
		strings.Repeat("9", many) + " * * * *",
		"@" + strings.Repeat("\xff", many),
		"0-59/" + strings.Repeat("9", many) + " * * * *",
		"* * * * " + strings.Repeat("MON#", many),
	} {
		_, err := schedule.ParseCron(expression, time.UTC, 0)
		require.Error(t, err)
		require.Less(t, len(err.Error()), 250, "an error is short")
		require.True(t, utf8.ValidString(err.Error()), "an error can be printed")
	}
	_, err := schedule.ParseCron(strings.Repeat("0-59,", many)+"1 * * * *", time.UTC, 0)
	require.NoError(t, err, "a long list")
}
