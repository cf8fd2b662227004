package schedulewords_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"punctual/internal/schedulewords"
)

func TestCron(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		"* * * * *":                "Every minute",
		"*/5 * * * *":              "Every 5 minutes",
		"*/10 * * * * *":           "Every 10 seconds",
		"30 9 * * MON-FRI":         "At 09:30, Monday through Friday",
		"30 9 * * mon,wed":         "At 09:30, only on Monday and Wednesday",
		"0 2 * * *":                "Every day at 02:00",
		"0 9,17 * * *":             "Every day at 09:00 and 17:00",
		"@daily":                   "Every day at 00:00",
		"30 * * * *":               "At 30 minutes past the hour",
		"0 22-2 * * *":             "Every hour, between 22:00 and 02:59",
		"0 0 13 * FRI":             "At 00:00, on day 13 of the month, and on Friday",
		"0 0 L-2 * *":              "At 00:00, 2 days before the last day of the month",
		"0 0 * * 5L":               "At 00:00, on the last Friday of the month",
		"0 0 * * FRIL":             "At 00:00, on the last Friday of the month",
		"0 0 * * MON#2":            "At 00:00, on the second Monday of the month",
		"0 0 * * 7":                "At 00:00, only on Sunday",
		"0 0 * * 5-7":              "At 00:00, Friday through Sunday",
		"0 0 * * THU":              "At 00:00, only on Thursday",
		"0 0 * JUL WED":            "At 00:00, only on Wednesday, only in July",
		"0 0 15W * *":              "At 00:00, on the weekday nearest day 15 of the month",
		"0 0 1 */3 *":              "At 00:00, on day 1 of the month, every 3 months",
		"H 2 * * *":                "", // depends on the job
		"H(0-29)/10 * * * *":       "",
		"*/7 * * * *":              "", // 56 is followed by 0
		"0 5/15 * * *":             "", // once a day
		"0 0 */2 * FRI":            "", // Fridays with an odd date, not both
		"0 0 */3 * *":              "", // the 31st is followed by the 1st
		"0 0 15W,LW * *":           "",
		"0,*/20 * * * *":           "",
		"nonsense":                 "",
		"0 0 0 0 0 0 0":            "",
		"TZ=Europe/Rome 0 2 * * *": "",
	} {
		assert.Equal(t, want, schedulewords.Cron(expression), expression)
	}
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		schedule         schedulewords.Schedule
		words, raw, zone string
	}{
		{schedulewords.Schedule{IntervalInSeconds: new(int64(5400))}, "Every 90 minutes", "every 1h30m", ""},
		{schedulewords.Schedule{IntervalInSeconds: new(int64(86400))}, "Every day", "every 24h", ""},
		{schedulewords.Schedule{Cron: new("0 2 * * *")}, "Every day at 02:00", "0 2 * * *", "UTC"},
		{schedulewords.Schedule{Cron: new("H 2 * * *"), TimeZone: new("Europe/Berlin")}, "", "H 2 * * *", "Europe/Berlin"},
		{
			schedulewords.Schedule{Rrule: new("DTSTART:20260106T090000\nRRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=TU\nEXDATE:20260120T090000")},
			"Every 2 weeks, by a rule", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU", "UTC",
		},
		{schedulewords.Schedule{OnDemand: true}, "On demand", "on demand", ""},
		{schedulewords.Schedule{StartsOn: []string{"run.failed", "job.failing"}}, "On run.failed, job.failing", "by events", ""},
	} {
		assert.Equal(t, c.words, c.schedule.Words())
		assert.Equal(t, c.raw, c.schedule.Raw())
		assert.Equal(t, c.zone, c.schedule.Zone())
	}
}
