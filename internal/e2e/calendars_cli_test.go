package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// A file replaces all of a calendar, and what is wrong with it is told.
func TestCommandLine_calendars(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	done := func(line string) string {
		got := service.shell(t, dir, nil, line)
		require.Zero(t, got.code, "%s: %s", line, got.err)
		return got.out
	}
	write("all.yaml", "- key: week\n  weekdays: [SATURDAY, SUNDAY]\n- {key: days, dates: [2027-03-26], validUntil: 2027-12-31}")
	require.Equal(t, "Created: the calendar week.\nCreated: the calendar days.\n", done("punctual calendars apply -f all.yaml"))
	write("days.ics", holidays)
	require.Equal(t, "Applied: the calendar days.\n", done("punctual calendars import days.ics --time-zone Europe/Berlin"))
	var days client.Calendar
	require.NoError(t, json.Unmarshal([]byte(done("punctual calendars get days -o json")), &days))
	require.Equal(t, "Europe/Berlin", days.TimeZone)
	require.Nil(t, days.ValidUntil, "all of it was replaced")
	require.Len(t, days.Dates, 1)
	require.Equal(t, "2027-03-26", days.Dates[0].String())
	require.Equal(t, "Created: the calendar other.\n", done("punctual calendars import - --as other < days.ics"))
	require.Equal(t, "days\nother\nweek\n", done("punctual calendars list -o name"))
	require.Contains(t, done("punctual calendars list"), "SATURDAY,SUNDAY")

	for line, want := range map[string]string{
		"punctual calendars import - < days.ics":             "give the calendar a key with --as",
		"punctual calendars import all.yaml":                 "is not an iCalendar file",
		"punctual calendars apply -f - <<< '{key: x, a: 1}'": "a",
		"punctual calendars get none":                        "no calendar with this key",
		"punctual calendars delete week":                     "--yes",
	} {
		got := service.shell(t, dir, nil, line)
		require.NotZero(t, got.code, line)
		require.Contains(t, got.err, want, line)
	}
	service.create(t, `{"name":"x","cron":"0 9 * * *","skipOn":["week"]}`)
	got := service.shell(t, dir, nil, "punctual calendars delete week --yes")
	require.Equal(t, 1, got.code)
	require.Contains(t, got.err, "Jobs name the calendar")
	require.Equal(t, "Deleted: the calendar days.\nDeleted: the calendar other.\n", done("punctual calendars delete days other --yes"))
	require.Equal(t, 1, strings.Count(done("punctual calendars list -o name"), "\n"))
}
