package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"

	"punctual/gen/client"
	"punctual/internal/jobfiles"
)

type calendarsCmd struct {
	List   listCalendars   `cmd:"" help:"List calendars."`
	Get    getCalendars    `cmd:"" help:"Show calendars with all their days."`
	Apply  applyCalendars  `cmd:"" help:"Make calendars be as files say."`
	Import importCalendar  `cmd:"" help:"Make a calendar be the all-day events of an iCalendar file."`
	Delete deleteCalendars `cmd:"" help:"Delete calendars that no job names."`
}

type listCalendars struct {
	Globals   `embed:""`
	ListFlags `embed:""`
}

// Run lists calendars.
func (c *listCalendars) Run(ctx context.Context, s *Session) error {
	return calendars.table.list(ctx, s, c.ListFlags, func(ctx context.Context, cursor *client.Cursor, limit *client.Limit) (*http.Response, error) {
		return s.ListCalendars(ctx, &client.ListCalendarsParams{Cursor: cursor, Limit: limit})
	})
}

var calendars = keyed[client.Calendar]{
	noun: "calendar",
	table: table[client.Calendar]{
		columns: []column[client.Calendar]{
			{"Key", calendarName},
			{"Time zone", func(c client.Calendar) string { return c.TimeZone }},
			{"Dates", func(c client.Calendar) string { return strconv.Itoa(len(c.Dates)) }},
			{"Ranges", func(c client.Calendar) string { return strconv.Itoa(len(c.Ranges)) }},
			{"Yearly", func(c client.Calendar) string { return strconv.Itoa(len(c.Yearly)) }},
			{"Weekdays", weekdaysOf},
			{"Valid until", validUntil},
			{"Updated", func(c client.Calendar) string { return when(&c.UpdatedAt) }},
		},
		name: calendarName,
	},
	definition: jobfiles.Definition.JSON,
	get:        (*client.Client).GetCalendar,
	set:        (*client.Client).ReplaceCalendarWithBody,
	create: func(ctx context.Context, c *client.Client, body io.Reader) (*http.Response, error) {
		return c.CreateCalendarWithBody(ctx, nil, "application/json", body)
	},
	remove: (*client.Client).DeleteCalendar,
}

func calendarName(c client.Calendar) string { return c.Key }

func weekdaysOf(c client.Calendar) string {
	names := make([]string, len(c.Weekdays))
	for i, day := range c.Weekdays {
		names[i] = string(day)
	}
	text := strings.Join(names, ",")
	return orDash(&text)
}

func validUntil(c client.Calendar) string {
	switch {
	case c.ValidUntil == nil:
		return "-"
	case c.IsRunningOut:
		return c.ValidUntil.String() + " (runs out)"
	default:
		return c.ValidUntil.String()
	}
}

type getCalendars struct {
	Globals `embed:""`
	Keys    []string `arg:"" name:"key" help:"The keys of the calendars."`
}

// Run shows calendars.
func (c *getCalendars) Run(ctx context.Context, s *Session) error {
	return calendars.showAll(ctx, s, c.Keys)
}

type applyCalendars struct {
	Globals `embed:""`
	Files   []string `name:"filename" short:"f" required:"" placeholder:"FILE|DIR|-" help:"Files or directories with calendars in YAML or JSON. A dash is the standard input."`
}

// Run makes calendars be as files say, one by one. Days that a file does not have are in none.
func (c *applyCalendars) Run(ctx context.Context, s *Session) error {
	return calendars.applyFiles(ctx, s, c.Files)
}

type importCalendar struct {
	Globals    `embed:""`
	File       string  `arg:"" placeholder:"FILE|-" help:"The file. A dash is the standard input, and needs --as."`
	As         string  `name:"as" placeholder:"KEY" help:"The key of the calendar. The default is the name of the file without its ending."`
	TimeZone   *string `placeholder:"ZONE" help:"The time zone in which its days begin and end. The default is UTC."`
	ValidUntil *string `placeholder:"DATE" help:"The last day of which the calendar knows something, such as 2027-12-31."`
}

// Run makes a calendar be the days of a file, and nothing else.
func (c *importCalendar) Run(ctx context.Context, s *Session) error {
	key := c.As
	if key == "" && c.File != "-" {
		key = strings.TrimSuffix(filepath.Base(c.File), filepath.Ext(c.File))
	}
	if key == "" {
		return usage("give the calendar a key with --as")
	}
	text, err := jobfiles.ReadText(c.File, s.In)
	if err != nil {
		return err
	}
	fields := map[string]json.RawMessage{}
	values := map[string]*string{"iCalendar": new(string(text)), "timeZone": c.TimeZone, "validUntil": c.ValidUntil}
	for name, value := range values {
		if value == nil {
			continue
		}
		if fields[name], err = json.Marshal(*value); err != nil {
			return fmt.Errorf("encode the request: %w", err)
		}
	}
	return calendars.apply(ctx, s, key, fields)
}

type deleteCalendars struct {
	Globals `embed:""`
	Keys    []string `arg:"" name:"key" help:"The keys of the calendars."`
	Yes     bool     `short:"y" help:"Do not ask. Needed without a terminal."`
}

// Run deletes calendars.
func (c *deleteCalendars) Run(ctx context.Context, s *Session) error {
	return calendars.deleteAll(ctx, s, c.Keys, c.Yes)
}
