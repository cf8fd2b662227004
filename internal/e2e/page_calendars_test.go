package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// berlin reads the calendar of Berlin, or nil if there is none.
func (i instance) berlin(t *testing.T) *client.Calendar {
	t.Helper()
	got, err := i.GetCalendarWithResponse(t.Context(), "berlin")
	require.NoError(t, err)
	return got.JSON200
}

// Calendars are created, also from a file, drawn as a year, changed and deleted.
func TestPageCalendars(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	file := filepath.Join(t.TempDir(), "days.ics")
	require.NoError(t, os.WriteFile(file, []byte("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x\r\nBEGIN:VEVENT\r\nUID:1\r\n"+
		"DTSTAMP:20260101T000000Z\r\nDTSTART;VALUE=DATE:20400403\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"), 0o600))
	b := openTab(t, service)
	b.expected = append(b.expected, "400")
	b.open("/calendars")
	b.click(".new-thing summary")
	b.fill("#key", "berlin")
	b.fill("#dates", "2040-02-30")
	b.click(".new-thing button.primary")
	b.sees(".field.wrong #dates")
	b.fill("#dates", "2040-02-29")
	b.fill("#yearly", "12-25")
	b.fill("#ranges", "2040-07-01/2040-07-03")
	b.do(chromedp.SetUploadFiles(chromedp.CSS("input[type=file]"), []string{file}))
	b.click(".new-thing button.primary")
	b.reads("#notice", "The calendar is created.")
	stored := service.berlin(t)
	require.Len(t, stored.Dates, 2, "one is of the file")

	b.open("/calendars/berlin?year=2040")
	b.reads("h2", "2040: 6 days in UTC")
	require.Equal(t, []any{"29date", "3date", "1range", "2range", "3range", "25yearly"},
		eval[[]any](b, `[...document.querySelectorAll(".month .has")].map(e => e.textContent.replace(/\s+/g, ""))`))
	b.click("a[rel=next]")
	b.reads("h2", "2041: 1 day in UTC")

	b.click(".head a.button")
	b.sees("#ranges")
	require.Equal(t, "2040-07-01/2040-07-03", eval[string](b, `document.getElementById("ranges").value`))
	b.click("input[value=SUNDAY]")
	b.click("form.card button.primary")
	b.reads("#notice", "The calendar is changed.")
	require.Equal(t, client.CalendarWeekdays{client.WeekdaySUNDAY}, service.berlin(t).Weekdays)

	b.click(".head button.danger")
	b.click("dialog#confirm button[value=yes]")
	b.reads("#notice", "The calendar is deleted.")
	require.Nil(t, service.berlin(t))
}

func calendarShown(t *testing.T, service instance) string {
	t.Helper()
	if service.berlin(t) == nil {
		got, err := service.CreateCalendarWithResponse(t.Context(), nil, client.CalendarCreate{
			Key: "berlin", TimeZone: new("Europe/Berlin"), Yearly: &client.CalendarYearly{"12-25", "12-26"},
			Weekdays: &client.CalendarWeekdays{client.WeekdaySUNDAY},
		})
		require.NoError(t, err)
		require.Equal(t, http.StatusCreated, got.StatusCode(), "created: %s", got.Body)
	}
	return "/calendars/berlin"
}
