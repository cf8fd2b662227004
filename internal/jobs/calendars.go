package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"punctual/gen/db"
	"punctual/internal/policy"
	"punctual/internal/schedule"
)

// calendars are the days of calendars, by their keys.
type calendars map[string]policy.Calendar

// namesCalendars reports whether a request names calendars.
func (c *Change) namesCalendars() bool { return len(c.SkipOn.Value)+len(c.OnlyOn.Value) > 0 }

// readCalendars returns the calendars of which lists have the keys, as far as they exist. They stay
// as they are until the end of the transaction.
func readCalendars(ctx context.Context, tx *db.Queries, namespace string, lists ...[]string) (calendars, error) {
	keys := slices.Concat(lists...)
	if len(keys) == 0 {
		return nil, nil
	}
	slices.Sort(keys)
	rows, err := tx.HoldCalendars(ctx, db.HoldCalendarsParams{Namespace: namespace, Keys: slices.Compact(keys)})
	if err != nil {
		return nil, fmt.Errorf("read the calendars of a job: %w", err)
	}
	known := make(calendars, len(rows))
	for _, row := range rows {
		var definition policy.CalendarDefinition
		if err := json.Unmarshal(row.Definition, &definition); err != nil {
			return nil, fmt.Errorf("read the calendar %s: %w", row.Key, err)
		}
		if known[row.Key], err = definition.Calendar(); err != nil {
			return nil, fmt.Errorf("read the calendar %s: %w", row.Key, err)
		}
	}
	return known, nil
}

// calendarsOf is readCalendars for a list of requests.
func calendarsOf(ctx context.Context, tx *db.Queries, namespace string, given ...Change) (calendars, error) {
	var lists [][]string
	for i := range given {
		lists = append(lists, given[i].SkipOn.Value, given[i].OnlyOn.Value)
	}
	return readCalendars(ctx, tx, namespace, lists...)
}

// give gives a job the days of the calendars that it names, unless it named the same before: what
// becomes of these is for SpreadCalendars. It returns the fields that are wrong.
func (c calendars) give(job, before *Definition) (wrong []Field) {
	if before == nil || !slices.Equal(before.SkipOn, job.SkipOn) || !slices.Equal(before.OnlyOn, job.OnlyOn) {
		job.CalendarDays, wrong = c.days(job)
	}
	if job.CalendarDays != nil && perDay(job) > schedule.MaxMovedPerDay && job.OnSkipped != db.OnSkippedDROP {
		wrong = append(wrong, Field{"onSkipped", Conflicting, fmt.Sprintf(
			"can move the occurrences of a schedule with at most %d of them on a day", schedule.MaxMovedPerDay)})
	}
	return wrong
}

// days returns the days of the calendars that a job names, nil for none, and the keys of which
// there is no calendar.
func (c calendars) days(job *Definition) (raw []byte, wrong []Field) {
	var days policy.CalendarDays
	for _, list := range []struct {
		name string
		keys []string
		days *[]policy.Calendar
	}{{"skipOn", job.SkipOn, &days.Skip}, {"onlyOn", job.OnlyOn, &days.Only}} {
		for i, key := range list.keys {
			calendar, ok := c[key]
			if !ok {
				wrong = append(wrong, Field{list.name + "." + strconv.Itoa(i), NotFound, "there is no calendar with this key"})
			}
			*list.days = append(*list.days, calendar)
		}
	}
	if len(wrong) > 0 || len(days.Skip)+len(days.Only) == 0 {
		return nil, wrong
	}
	raw, _ = json.Marshal(days) // numbers and texts: cannot fail
	return raw, nil
}

// perDay returns how many occurrences a job's schedule may have on a day, not counting calendars. A
// schedule that is not valid has none.
func perDay(job *Definition) int {
	const day = 24 * 60 * 60
	if job.IntervalSeconds != nil {
		return int((day + *job.IntervalSeconds - 1) / max(*job.IntervalSeconds, 1))
	}
	plain := *job
	plain.CalendarDays = nil
	if when, err := policy.Preview(&plain); err == nil {
		if grid, ok := when.Grid.(interface{ PerDay() int }); ok {
			return grid.PerDay()
		}
	}
	return 0
}
