package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"punctual/gen/db"
	"punctual/internal/schedule"
)

// CalendarDays are the days of the calendars that a job names, in the form in which the job keeps
// them (jobs.calendar_days).
type CalendarDays struct {
	Skip []Calendar `json:"skip,omitempty"`
	Only []Calendar `json:"only,omitempty"`
}

// Calendar is the days of one calendar.
type Calendar struct {
	TimeZone string `json:"timeZone"`
	// Ranges are pairs of days since 1970-01-01, first and last.
	Ranges [][2]schedule.Day `json:"ranges,omitempty"`
	// Yearly are months and days: 1225 is each 25th of December.
	Yearly []int `json:"yearly,omitempty"`
	// Weekdays are numbers: 0 is Sunday.
	Weekdays []time.Weekday `json:"weekdays,omitempty"`
}

// CalendarDefinition is a calendar as the table calendars keeps it, in the form of the contract's
// CalendarReplace. Its defaults are filled in.
type CalendarDefinition struct {
	TimeZone string      `json:"timeZone"`
	Dates    []string    `json:"dates"`
	Ranges   []DateRange `json:"ranges"`
	Yearly   []string    `json:"yearly"`
	Weekdays []string    `json:"weekdays"`
}

// DateRange is the days from one to another, both included.
type DateRange struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Calendar returns the days of a definition. An error means that it is none.
func (d CalendarDefinition) Calendar() (Calendar, error) {
	c := Calendar{TimeZone: d.TimeZone}
	ranges := slices.Clone(d.Ranges)
	for _, date := range d.Dates {
		ranges = append(ranges, DateRange{date, date})
	}
	days := make([]schedule.DayRange, len(ranges))
	for i, r := range ranges {
		from, err := time.Parse(time.DateOnly, r.From)
		if err != nil {
			return c, fmt.Errorf("a day of a calendar: %w", err)
		}
		to, err := time.Parse(time.DateOnly, r.To)
		if err != nil {
			return c, fmt.Errorf("a day of a calendar: %w", err)
		}
		days[i] = schedule.DayRange{From: schedule.DayOf(from), To: schedule.DayOf(to)}
	}
	for _, r := range schedule.Merge(days) {
		c.Ranges = append(c.Ranges, [2]schedule.Day{r.From, r.To})
	}
	for _, text := range d.Yearly {
		day, err := time.Parse(time.DateOnly, "2000-"+text) // a leap year
		if err != nil {
			return c, fmt.Errorf("a yearly day of a calendar: %w", err)
		}
		c.Yearly = append(c.Yearly, int(day.Month())*100+day.Day())
	}
	for _, text := range d.Weekdays {
		c.Weekdays = append(c.Weekdays, time.Weekday(slices.Index(weekdays, text)))
	}
	return c, nil
}

// weekdays are the names of the contract.
var weekdays = []string{"SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY"}

// Days returns the days as schedules want them. An error means that the zone is not known.
func (c Calendar) Days() (*schedule.Days, error) {
	zone, err := LoadZone(c.TimeZone)
	if err != nil {
		return nil, err
	}
	ranges := make([]schedule.DayRange, len(c.Ranges))
	for i, r := range c.Ranges {
		ranges[i] = schedule.DayRange{From: r[0], To: r[1]}
	}
	yearly := make([]time.Time, len(c.Yearly))
	for i, day := range c.Yearly {
		yearly[i] = time.Date(2000, time.Month(day/100), day%100, 0, 0, 0, 0, time.UTC)
	}
	return schedule.NewDays(zone, ranges, yearly, c.Weekdays), nil
}

// filter is the days of a job's calendars as schedules want them.
type filter struct{ skip, only []*schedule.Days }

// maxFilterBytes bounds the JSON of which the cache has the days. The days take about as much
// again. Jobs that name the same calendars share one entry.
const maxFilterBytes = 16 << 20

var filters = filterCache{read: map[string]filter{}}

// filterCache remembers the days of calendars by their JSON, because each run of a job needs them.
type filterCache struct {
	mu   sync.RWMutex
	read map[string]filter
	// bytes is the length of all keys.
	bytes int
}

// of reads the days of a job's calendars, unless they are in the cache.
func (c *filterCache) of(raw []byte) (filter, error) {
	c.mu.RLock()
	known, ok := c.read[string(raw)]
	c.mu.RUnlock()
	if ok {
		return known, nil
	}
	read, err := readFilter(raw)
	if err != nil {
		return filter{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for some := range c.read { // any will do: which ones are needed is not known
		if c.bytes+len(raw) <= maxFilterBytes {
			break
		}
		delete(c.read, some)
		c.bytes -= len(some)
	}
	if _, isThere := c.read[string(raw)]; !isThere {
		c.bytes += len(raw)
	}
	c.read[string(raw)] = read
	return read, nil
}

func readFilter(raw []byte) (f filter, err error) {
	var all CalendarDays
	if err := json.Unmarshal(raw, &all); err != nil {
		return filter{}, fmt.Errorf("days of calendars: %w", err)
	}
	for _, list := range []struct {
		to   *[]*schedule.Days
		from []Calendar
	}{{&f.skip, all.Skip}, {&f.only, all.Only}} {
		for _, calendar := range list.from {
			days, err := calendar.Days()
			if err != nil {
				return filter{}, err
			}
			*list.to = append(*list.to, days)
		}
	}
	return f, nil
}

// filtered returns a job's grid without the days that its calendars leave out.
func filtered(job *db.Job, grid schedule.Grid) (schedule.Grid, error) {
	days, err := filters.of(job.CalendarDays)
	if err != nil {
		return nil, fmt.Errorf("schedule of job %s: %w", job.ID, err)
	}
	f := &schedule.Filtered{Grid: grid, Skip: days.skip, Only: days.only, Zone: time.UTC}
	if job.TimeZone != nil {
		if f.Zone, err = LoadZone(*job.TimeZone); err != nil {
			return nil, fmt.Errorf("schedule of job %s: %w", job.ID, err)
		}
	}
	switch job.OnSkipped {
	case db.OnSkippedNEXTDAY:
		f.Moves = schedule.ToNextDay
	case db.OnSkippedPREVIOUSDAY:
		f.Moves = schedule.ToPreviousDay
	default: // it is dropped
	}
	return f, nil
}
