package ui

import (
	"io"
	"net/url"
	"strings"

	"punctual/gen/client"
	"punctual/internal/answers"
)

// weekdays are the days of a week, as the API names them.
var weekdays = []client.Weekday{
	client.WeekdayMONDAY, client.WeekdayTUESDAY, client.WeekdayWEDNESDAY, client.WeekdayTHURSDAY,
	client.WeekdayFRIDAY, client.WeekdaySATURDAY, client.WeekdaySUNDAY,
}

// listCalendars shows the calendars of the namespace.
func listCalendars(p *page) error {
	return p.showCalendars(&form{Values: url.Values{"timeZone": {"UTC"}}})
}

func (p *page) showCalendars(f *form) error {
	list, err := answers.Of[client.CalendarPage](p.ListCalendars(p.Context(), &client.ListCalendarsParams{
		Cursor: p.cursor(), Limit: new(itemsOfPage),
	}))
	if err != nil {
		return err
	}
	return p.show("Calendars", calendarsPage(p, f, list))
}

// showCalendar shows a calendar, and a year of it.
func showCalendar(p *page) error {
	c, err := answers.Of[client.Calendar](p.GetCalendar(p.Context(), p.PathValue("key")))
	if err != nil {
		return err
	}
	year, err := yearOf(p, c)
	if err != nil {
		return err
	}
	return p.show("Calendar "+c.Key, calendarPage(p, c, year))
}

// createCalendar creates a calendar.
func createCalendar(p *page) error {
	f, err := p.readCalendarForm()
	if err != nil {
		return err
	}
	b := calendarBody(f)
	b["key"] = strings.TrimSpace(f.Get("key"))
	c, err := answers.Of[client.Calendar](p.CreateCalendarWithBody(
		p.Context(), &client.CreateCalendarParams{IdempotencyKey: p.once()}, jsonType, b.reader(),
	))
	if f.refused(p, err) {
		return p.showCalendars(f)
	}
	if err != nil {
		return err
	}
	p.say("The calendar is created.")
	return p.redirect(calendarPath(c.Key))
}

func calendarPath(key string) string { return "/calendars/" + url.PathEscape(key) }

// editCalendar shows the form for a change of a calendar.
func editCalendar(p *page) error {
	c, err := answers.Of[client.Calendar](p.GetCalendar(p.Context(), p.PathValue("key")))
	if err != nil {
		return err
	}
	return p.show("Edit "+c.Key, calendarEditPage(calendarForm(c), c.Key))
}

// replaceCalendar takes that form.
func replaceCalendar(p *page) error {
	key := p.PathValue("key")
	f, err := p.readCalendarForm()
	if err != nil {
		return err
	}
	err = answers.Done(p.ReplaceCalendarWithBody(p.Context(), key, jsonType, calendarBody(f).reader()))
	if f.refused(p, err) {
		return p.show("Edit "+key, calendarEditPage(f, key))
	}
	if err != nil {
		return err
	}
	p.say("The calendar is changed. The jobs that name it get new occurrences shortly.")
	return p.redirect(calendarPath(key))
}

// deleteCalendar deletes a calendar.
func deleteCalendar(p *page) error {
	if err := answers.Done(p.DeleteCalendar(p.Context(), p.PathValue("key"))); err != nil {
		return p.acted("", err)
	}
	p.say("The calendar is deleted.")
	return p.redirect("/calendars")
}

// readCalendarForm reads a form that may come with a file, whose text becomes the field iCalendar.
func (p *page) readCalendarForm() (*form, error) {
	if err := p.ParseMultipartForm(maxForm); err != nil {
		return nil, badForm(err)
	}
	f := &form{Values: url.Values(p.MultipartForm.Value)}
	file, _, err := p.FormFile("iCalendar")
	if err != nil {
		return f, nil // there is none
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return nil, badForm(err)
	}
	f.Set("iCalendar", string(text))
	return f, nil
}

// calendarBody is what a form says of a calendar.
func calendarBody(f *form) body {
	b := body{
		"timeZone": strings.TrimSpace(f.Get("timeZone")), "dates": linesOf(f.Get("dates")), "yearly": linesOf(f.Get("yearly")),
		"weekdays": append([]string{}, f.Values["weekdays"]...),
	}
	ranges := []body{}
	for _, line := range linesOf(f.Get("ranges")) {
		from, to, _ := strings.Cut(line, "/")
		ranges = append(ranges, body{"from": strings.TrimSpace(from), "to": strings.TrimSpace(to)})
	}
	b["ranges"] = ranges
	b.setText(f, "validUntil")
	if text := f.Get("iCalendar"); text != "" {
		b["iCalendar"] = text
	}
	return b
}

// calendarForm is the form for a change of a calendar.
func calendarForm(c client.Calendar) *form {
	f := &form{Values: url.Values{
		"timeZone": {c.TimeZone}, "dates": {strings.Join(dateTexts(c), "\n")}, "yearly": {strings.Join(c.Yearly, "\n")},
	}}
	for _, day := range c.Weekdays {
		f.Add("weekdays", string(day))
	}
	f.Set("ranges", strings.Join(rangeTexts(c, "/"), "\n"))
	if c.ValidUntil != nil {
		f.Set("validUntil", c.ValidUntil.String())
	}
	return f
}

// dateTexts are the single days of a calendar, as the API writes them.
func dateTexts(c client.Calendar) (texts []string) {
	for _, date := range c.Dates {
		texts = append(texts, date.String())
	}
	return texts
}

// rangeTexts are the ranges of a calendar, with something between their ends.
func rangeTexts(c client.Calendar, between string) (texts []string) {
	for _, r := range c.Ranges {
		texts = append(texts, r.From.String()+between+r.To.String())
	}
	return texts
}

// daysOf says in a line how many days a calendar has of each kind.
func daysOf(c client.Calendar) string {
	var parts []string
	for _, part := range []struct {
		count int
		noun  string
	}{{len(c.Dates), "date"}, {len(c.Yearly), "yearly day"}, {len(c.Ranges), "range"}, {len(c.Weekdays), "weekday"}} {
		if part.count > 0 {
			parts = append(parts, counted(part.count, part.noun))
		}
	}
	return orDash(strings.Join(parts, ", "))
}
