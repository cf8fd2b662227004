package calendars

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"punctual/internal/jobs"
	"punctual/internal/policy"
)

// Request is what a request says of a calendar. Its JSON is that of the contract's CalendarCreate
// and CalendarReplace, which bound each field.
type Request struct {
	// Key is only of a new one.
	Key string `json:"key"`
	policy.CalendarDefinition
	ICalendar  string  `json:"iCalendar"`
	ValidUntil *string `json:"validUntil"`
}

// maxRanges is how many ranges of days a calendar may have, after those that touch were joined.
// Each job that names the calendar has a copy.
const maxRanges = 1000

// define returns what is stored of a request, or an Invalid.
func (s *Service) define(ctx context.Context, given Request) (definition []byte, validUntil pgtype.Date, err error) {
	now, err := s.queries.DatabaseTime(ctx)
	if err != nil {
		return nil, validUntil, fmt.Errorf("read the database's time: %w", err)
	}
	var wrong []jobs.Field
	days := given.CalendarDefinition
	days.TimeZone = cmp.Or(days.TimeZone, "UTC")
	if !policy.IsZone(days.TimeZone) {
		wrong = append(wrong, jobs.Field{Name: "timeZone", Code: jobs.WrongFormat, Detail: "is not the IANA name of a time zone"})
	}
	for i, r := range days.Ranges {
		if r.To < r.From { // both are as 2006-01-02
			wrong = append(wrong, jobs.Field{
				Name: "ranges." + strconv.Itoa(i) + ".to", Code: jobs.Conflicting, Detail: "must not be before from",
			})
		}
	}
	for i, day := range days.Yearly {
		if _, err := time.Parse(time.DateOnly, "2000-"+day); err != nil {
			wrong = append(wrong, jobs.Field{Name: "yearly." + strconv.Itoa(i), Code: jobs.WrongFormat, Detail: "is not a day of any year"})
		}
	}
	if given.ValidUntil != nil {
		at, err := time.Parse(time.DateOnly, *given.ValidUntil)
		if err != nil {
			wrong = append(wrong, jobs.Field{Name: "validUntil", Code: jobs.WrongFormat, Detail: "is not a day"})
		}
		validUntil = pgtype.Date{Time: at, Valid: true}
	}
	if given.ICalendar != "" {
		read, err := readFile(given.ICalendar, now)
		if err != nil {
			wrong = append(wrong, jobs.Field{Name: "iCalendar", Code: jobs.WrongFormat, Detail: err.Error()})
		}
		days.Ranges, days.Yearly = slices.Concat(days.Ranges, read.ranges), slices.Concat(days.Yearly, read.yearly)
		if !read.expandedUntil.IsZero() && !validUntil.Valid {
			validUntil = pgtype.Date{Time: read.expandedUntil, Valid: true}
		}
	}
	if len(wrong) > 0 {
		return nil, validUntil, &jobs.Invalid{Fields: wrong}
	}
	days = normal(days)
	calendar, err := days.Calendar()
	if err != nil {
		return nil, validUntil, &jobs.Invalid{Fields: []jobs.Field{{Name: "dates", Code: jobs.WrongFormat, Detail: "has something that is not a day"}}}
	}
	if len(calendar.Ranges) > maxRanges {
		return nil, validUntil, &jobs.Invalid{Fields: []jobs.Field{{
			Name: "", Code: jobs.TooLarge,
			Detail: fmt.Sprintf("The calendar has %d separate ranges of days; it may have %d.", len(calendar.Ranges), maxRanges),
		}}}
	}
	definition, err = json.Marshal(days)
	return definition, validUntil, err
}

// normal returns a definition with sorted lists, in which nothing stands twice. Ranges of one day
// are dates.
func normal(days policy.CalendarDefinition) policy.CalendarDefinition {
	ranges := []policy.DateRange{}
	dates := slices.Clone(days.Dates)
	for _, r := range days.Ranges {
		if r.From == r.To {
			dates = append(dates, r.From)
		} else {
			ranges = append(ranges, r)
		}
	}
	slices.SortFunc(ranges, func(a, b policy.DateRange) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	days.Ranges = slices.Compact(ranges)
	days.Dates, days.Yearly, days.Weekdays = sorted(dates), sorted(days.Yearly), orEmpty(days.Weekdays)
	return days
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return orEmpty(slices.Compact(list))
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
