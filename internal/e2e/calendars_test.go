package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

// calendar creates a calendar from JSON.
func (i instance) calendar(t *testing.T, body string) client.Calendar {
	t.Helper()
	got, err := i.CreateCalendarWithBodyWithResponse(t.Context(), nil, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, got.StatusCode(), "created: %s", got.Body)
	require.Equal(t, "/api/v1/calendars/"+got.JSON201.Key, got.HTTPResponse.Header.Get("Location"))
	return *got.JSON201
}

// replaceCalendar replaces a calendar by JSON.
func (i instance) replaceCalendar(t *testing.T, key, body string) client.Calendar {
	t.Helper()
	got, err := i.ReplaceCalendarWithBodyWithResponse(t.Context(), key, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), "replaced: %s", got.Body)
	return *got.JSON200
}

// inDays returns the day so many days from today, in UTC.
func inDays(n int) time.Time { return time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, n) }

func dates(days ...time.Time) string {
	texts := make([]string, len(days))
	for i, day := range days {
		texts[i] = day.Format(`"2006-01-02"`)
	}
	return "[" + strings.Join(texts, ",") + "]"
}

func TestCalendarIsReplacedAndJobsFollow(t *testing.T) { //nolint:tparallel // its parts follow each other
	t.Parallel()
	service := start(t, app.Config{Database: app.DatabaseConfig{URL: testdb.New(t)}})
	tomorrow, afterwards, later := inDays(1), inDays(2), inDays(3)
	made := service.calendar(t, `{"key":"holidays","dates":`+dates(tomorrow)+`}`)
	require.Equal(t, "UTC", made.TimeZone)
	require.False(t, made.IsRunningOut)

	noon := `"cron":"0 12 * * *","startAt":` + tomorrow.Format(`"`+time.RFC3339+`"`) + `,"skipOn":["holidays"]`
	dropped := service.create(t, `{"name":"dropped",`+noon+`}`)
	require.Equal(t, []client.CalendarKey{"holidays"}, dropped.SkipOn)
	require.True(t, dropped.NextRunAt.Equal(afterwards.Add(12*time.Hour)), "a holiday is skipped: %s", dropped.NextRunAt)
	only := service.create(t, `{"name":"only","cron":"0 12 * * *","onlyOn":["holidays"]}`)
	require.True(t, only.NextRunAt.Equal(tomorrow.Add(12*time.Hour)))
	paused := service.create(t, `{"name":"paused",`+noon+`}`)
	require.Equal(t, http.StatusOK, service.patch(t, paused.Id, `{"status":"PAUSED"}`).StatusCode())

	nextOf := func(job client.Job) client.Job {
		got, err := service.GetJobWithResponse(t.Context(), job.Id)
		require.NoError(t, err)
		return *got.JSON200
	}
	replaced := service.replaceCalendar(t, "holidays", `{"ranges":[{"from":"`+tomorrow.Format(time.DateOnly)+`","to":"`+afterwards.Format(time.DateOnly)+`"}]}`)
	require.Empty(t, replaced.Dates)
	require.Eventually(t, func() bool {
		now := nextOf(dropped)
		return now.NextRunAt.Equal(later.Add(12*time.Hour)) && now.Version == dropped.Version
	}, 20*time.Second, 50*time.Millisecond, "the job follows, and has no new version")

	t.Run("a job whose occurrences are all left out is paused", func(t *testing.T) {
		service.replaceCalendar(t, "holidays", `{"dates":["2020-01-01"]}`)
		require.Eventually(t, func() bool { return nextOf(only).Status == client.JobStatusPAUSED }, 20*time.Second, 50*time.Millisecond)
		require.Contains(t, *nextOf(only).StatusReason, "leave out all")
		require.Eventually(t, func() bool { return nextOf(dropped).NextRunAt.Equal(tomorrow.Add(12 * time.Hour)) }, 20*time.Second, 50*time.Millisecond)
	})
	t.Run("a paused job follows, too", func(t *testing.T) {
		resumed := service.patch(t, paused.Id, `{"status":"ACTIVE"}`)
		require.True(t, resumed.JSON200.NextRunAt.Equal(tomorrow.Add(12*time.Hour)), "%s", resumed.Body)
	})
	t.Run("it is not deleted while jobs name it", func(t *testing.T) {
		used, err := service.DeleteCalendarWithResponse(t.Context(), "holidays")
		require.NoError(t, err)
		requireCode(t, http.StatusConflict, "calendar-in-use", used.HTTPResponse, used.ApplicationproblemJSON409)
		for _, job := range []client.Job{dropped, only, paused} {
			require.Equal(t, http.StatusOK, service.patch(t, job.Id, `{"skipOn":[],"onlyOn":[]}`).StatusCode())
		}
		gone, err := service.DeleteCalendarWithResponse(t.Context(), "holidays")
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, gone.StatusCode())
		missing, err := service.GetCalendarWithResponse(t.Context(), "holidays")
		require.NoError(t, err)
		requireCode(t, http.StatusNotFound, "calendar-not-found", missing.HTTPResponse, missing.ApplicationproblemJSON404)
	})
}

func TestCalendarOfAJobHasToExist(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	service.calendar(t, `{"key":"mine","weekdays":["SATURDAY","SUNDAY"]}`)
	fields := func(problem *client.Problem) []string {
		var names []string
		for _, fault := range *problem.Errors {
			names = append(names, fault.Field+" "+fault.Code)
		}
		return names
	}
	const job = `"name":"x","cron":"0 9 * * *"`
	created, err := service.CreateJobWithBodyWithResponse(t.Context(), nil, "application/json",
		strings.NewReader(`{`+job+`,"skipOn":["mine","other"],"onlyOn":["third"]}`))
	require.NoError(t, err)
	require.Equal(t, []string{"skipOn.1 not-found", "onlyOn.0 not-found"}, fields(created.ApplicationproblemJSON400))
	stored := service.create(t, `{`+job+`,"skipOn":["mine"]}`)
	require.Equal(t, []string{"onlyOn.0 not-found"}, fields(service.patch(t, stored.Id, `{"onlyOn":["other"]}`).ApplicationproblemJSON400))
	applied, err := service.ApplyJobsWithBodyWithResponse(t.Context(), nil, "application/json",
		strings.NewReader(`{"definitions":[{"key":"a",`+job+`,"skipOn":["mine"]},{"key":"b",`+job+`,"skipOn":["other"]}]}`))
	require.NoError(t, err)
	require.Equal(t, []string{"definitions.1.skipOn.0 not-found"}, fields(applied.ApplicationproblemJSON400))
	many, err := service.CreateJobsWithBodyWithResponse(t.Context(), nil, "application/json",
		strings.NewReader(`{"jobs":[{`+job+`,"skipOn":["other"]}]}`))
	require.NoError(t, err)
	require.Equal(t, []string{"jobs.0.skipOn.0 not-found"}, fields(many.ApplicationproblemJSON400))
	dense := service.patch(t, stored.Id, `{"cron":"*/5 * * * *","onSkipped":"NEXT_DAY"}`)
	require.Equal(t, []string{"onSkipped conflicting"}, fields(dense.ApplicationproblemJSON400))
	never := service.patch(t, stored.Id, `{"cron":"0 9 * * SAT"}`)
	require.Equal(t, []string{"skipOn never-due"}, fields(never.ApplicationproblemJSON400))
	elsewhere := service.namespace(t, client.NamespaceCreate{})
	foreign, err := service.in(t, elsewhere.Name).CreateJobWithBodyWithResponse(t.Context(), nil, "application/json",
		strings.NewReader(`{`+job+`,"skipOn":["mine"]}`))
	require.NoError(t, err)
	require.Equal(t, []string{"skipOn.0 not-found"}, fields(foreign.ApplicationproblemJSON400), "a calendar of another namespace")
}

func TestPreviewShowsCalendars(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	service.calendar(t, `{"key":"easter","timeZone":"Europe/Berlin","dates":["2026-04-03","2026-04-06"],"weekdays":["SATURDAY","SUNDAY"]}`)
	preview := func(body string) []string {
		got, err := service.PreviewScheduleWithBodyWithResponse(t.Context(), "application/json", strings.NewReader(body))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, got.StatusCode(), "%s", got.Body)
		var all []string
		for _, o := range got.JSON200.Items {
			all = append(all, fmt.Sprintf("%s %t %t", o.LocalTime, o.MovedByCalendar, o.MovedByClockChange))
		}
		return all
	}
	const from = `"timeZone":"Europe/Berlin","after":"2026-04-02T20:00:00Z","count":2,"skipOn":["easter"]`
	require.Equal(t, []string{"2026-04-07T09:00:00+02:00 false false", "2026-04-08T09:00:00+02:00 false false"}, preview(`{"cron":"0 9 * * *",`+from+`}`))
	require.Equal(t, []string{"2026-04-07T09:00:00+02:00 true false", "2026-05-04T09:00:00+02:00 true false"},
		preview(`{"cron":"0 9 3 * *","onSkipped":"NEXT_DAY",`+from+`}`))
	require.Equal(t, []string{"2026-05-01T09:00:00+02:00 true false", "2026-06-03T09:00:00+02:00 false false"},
		preview(`{"cron":"0 9 3 * *","onSkipped":"PREVIOUS_DAY",`+from+`}`))
	require.Equal(t, []string{"2026-04-14T09:00:00+02:00 false false", "2026-04-28T09:00:00+02:00 false false"},
		preview(`{"rrule":"DTSTART:20260106T090000\nRRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=TU",`+from+`}`))
	job := service.create(t, `{"name":"x","rrule":"DTSTART:20260106T090000\nRRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=TU","timeZone":"Europe/Berlin"}`)
	require.Equal(t, "09:00", job.NextRunAt.In(berlin(t)).Format("15:04"))
	require.Equal(t, time.Tuesday, job.NextRunAt.In(berlin(t)).Weekday())
}

func berlin(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	return zone
}

func TestCalendarOfAFile(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	event := func(lines string) string {
		return `BEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\n` + lines + `\r\nEND:VEVENT\r\n`
	}
	file := `BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x\r\n` +
		event(`DTSTART;VALUE=DATE:20260403\r\nSUMMARY:Good Friday`) +
		event(`DTSTART;VALUE=DATE:20261224\r\nDTEND;VALUE=DATE:20270102`) +
		event(`DTSTART;VALUE=DATE:20200101\r\nRRULE:FREQ=YEARLY`) +
		event(`DTSTART;VALUE=DATE:20241128\r\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH;COUNT=2`) +
		event(`DTSTART;VALUE=DATE:20260505\r\nSTATUS:CANCELLED`) +
		event(`DTSTART:20260506T090000Z`) + `END:VCALENDAR\r\n`
	made := service.calendar(t, `{"key":"file","dates":["2026-05-01"],"iCalendar":"`+file+`","validUntil":"`+inDays(20).Format(time.DateOnly)+`"}`)
	var days []string
	for _, day := range made.Dates {
		days = append(days, day.String())
	}
	require.Equal(t, []string{"2024-11-28", "2025-11-27", "2026-04-03", "2026-05-01"}, days)
	require.Equal(t, []string{"01-01"}, made.Yearly)
	require.Len(t, made.Ranges, 1)
	require.Equal(t, "2026-12-24 2027-01-01", made.Ranges[0].From.String()+" "+made.Ranges[0].To.String())
	require.True(t, made.IsRunningOut)

	endless := service.replaceCalendar(t, "file", `{"iCalendar":"`+strings.Replace(file, ";COUNT=2", "", 1)+`"}`)
	require.Equal(t, time.Now().UTC().Year()+10, endless.ValidUntil.Year(), "a rule without an end is followed for ten years")

	for text, detail := range map[string]string{
		"nothing": "is not an iCalendar file", `BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n`: "has no all-day event",
		strings.Replace(file, "FREQ=YEARLY", "FREQ=NEVER", 1): "number 3, that has a rule",
		strings.Replace(file, "20270102", "tomorrow", 1):      "number 2, that begins on a day and does not end on one",
	} {
		got, err := service.CreateCalendarWithBodyWithResponse(t.Context(), nil, "application/json", strings.NewReader(`{"key":"bad","iCalendar":"`+text+`"}`))
		require.NoError(t, err)
		require.Equal(t, http.StatusBadRequest, got.StatusCode(), "%s", got.Body)
		require.Equal(t, "iCalendar", (*got.ApplicationproblemJSON400.Errors)[0].Field)
		require.Contains(t, (*got.ApplicationproblemJSON400.Errors)[0].Detail, detail)
	}
	listed, err := service.ListCalendarsWithResponse(t.Context(), &client.ListCalendarsParams{})
	require.NoError(t, err)
	require.Len(t, listed.JSON200.Items, 1)
	again, err := service.CreateCalendarWithBodyWithResponse(t.Context(), nil, "application/json", strings.NewReader(`{"key":"file"}`))
	require.NoError(t, err)
	requireCode(t, http.StatusConflict, "calendar-exists", again.HTTPResponse, again.ApplicationproblemJSON409)
}
