package calendars

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/emersion/go-ical"

	"punctual/internal/policy"
	"punctual/internal/sanitize"
	"punctual/internal/schedule"
)

const (
	// expandedYears is for how many years ahead the days of a rule are computed that is not plainly
	// yearly. The calendar is valid until then.
	expandedYears = 10
	// maxEventDays bounds how long an event may last.
	maxEventDays = 3660
	// maxDetail bounds, in bytes, what is quoted of a file that cannot be read.
	maxDetail = 200
)

// file is what an iCalendar file says.
type file struct {
	ranges []policy.DateRange
	yearly []string
	// expandedUntil is the last day up to which a rule without an end was followed; zero if there
	// is none.
	expandedUntil time.Time
}

// readFile reads the all-day events of an iCalendar file. Other events, and those that are
// canceled, count for nothing. An error says what cannot be read, for people.
func readFile(text string, now time.Time) (read file, err error) {
	calendar, err := ical.NewDecoder(strings.NewReader(text)).Decode()
	if err != nil {
		cause, _ := sanitize.Text(err.Error(), maxDetail)
		return read, fmt.Errorf("is not an iCalendar file: %s", cause)
	}
	isAny := false
	for i, event := range calendar.Events() {
		start := event.Props.Get(ical.PropDateTimeStart)
		if start == nil || !isDate(start.Value) || isCanceled(&event) {
			continue
		}
		isAny = true
		if err := read.add(&event, start.Value, now); err != nil {
			cause, _ := sanitize.Text(err.Error(), maxDetail)
			return read, fmt.Errorf("has an event, number %d, that %s", i+1, cause)
		}
		if len(read.ranges) > maxRanges*2 {
			return read, fmt.Errorf("has too many days")
		}
	}
	if !isAny {
		return read, errors.New("has no all-day event")
	}
	return read, nil
}

// dateFormat is that of a date in iCalendar files.
const dateFormat = "20060102"

func isDate(value string) bool {
	_, err := time.Parse(dateFormat, value)
	return err == nil
}

func isCanceled(event *ical.Event) bool {
	status := event.Props.Get(ical.PropStatus)
	return status != nil && strings.EqualFold(status.Value, string(ical.EventCancelled))
}

// add adds the days of an event that begins on a date.
func (f *file) add(event *ical.Event, date string, now time.Time) error {
	start, _ := time.Parse(dateFormat, date)
	days, err := lengthOf(event, start)
	if err != nil {
		return err
	}
	rule := event.Props.Get(ical.PropRecurrenceRule)
	switch {
	case rule == nil:
		f.addDays(start, days)
		return nil
	case isPlainlyYearly(rule.Value, start) && event.Props.Get(ical.PropExceptionDates) == nil && days <= 366:
		for n := range days {
			f.yearly = append(f.yearly, start.AddDate(0, 0, n).Format("01-02"))
		}
		return nil
	}
	lines := []string{"DTSTART:" + date, "RRULE:" + rule.Value}
	for _, except := range event.Props.Values(ical.PropExceptionDates) {
		lines = append(lines, "EXDATE:"+except.Value)
	}
	parsed, err := schedule.ParseRule(strings.Join(lines, "\n"), time.UTC)
	if err != nil {
		return fmt.Errorf("has a rule which cannot be read: %w", err)
	}
	end := now.UTC().Truncate(24*time.Hour).AddDate(expandedYears, 0, 0)
	for at := range parsed.After(start.Add(-1)) {
		if at.After(end) || len(f.ranges) > maxRanges*2 {
			f.expandedUntil = end
			break
		}
		f.addDays(at, days)
	}
	return nil
}

// addDays adds some days from one on.
func (f *file) addDays(from time.Time, days int) {
	f.ranges = append(f.ranges, policy.DateRange{
		From: from.Format(time.DateOnly), To: from.AddDate(0, 0, days-1).Format(time.DateOnly),
	})
}

// lengthOf returns how many days an event lasts: to the day before its end, or one.
func lengthOf(event *ical.Event, start time.Time) (days int, err error) {
	days = 1
	if end := event.Props.Get(ical.PropDateTimeEnd); end != nil {
		at, err := time.Parse(dateFormat, end.Value)
		if err != nil {
			return 0, errors.New("begins on a day and does not end on one")
		}
		days = int(at.Sub(start).Hours()) / 24
	} else if duration := event.Props.Get(ical.PropDuration); duration != nil {
		lasts, err := duration.Duration()
		if err != nil {
			return 0, fmt.Errorf("has a duration which cannot be read: %w", err)
		}
		days = int(lasts.Hours()) / 24
	}
	if days > maxEventDays {
		return 0, fmt.Errorf("lasts %d days; at most %d are allowed", days, maxEventDays)
	}
	return max(days, 1), nil
}

// isPlainlyYearly reports whether a rule names the day on which it starts, of each year without an
// end.
func isPlainlyYearly(rule string, start time.Time) bool {
	isYearly := false
	for part := range strings.SplitSeq(strings.ToUpper(rule), ";") {
		name, value, _ := strings.Cut(part, "=")
		switch {
		case name == "FREQ" && value == "YEARLY":
			isYearly = true
		case name == "INTERVAL" && value == "1", name == "WKST":
		case name == "BYMONTH" && value == start.Format("1"), name == "BYMONTHDAY" && value == start.Format("2"):
		default:
			return false
		}
	}
	return isYearly
}
