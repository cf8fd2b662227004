package ui

import (
	"strconv"
	"strings"
	"time"

	"punctual/gen/client"
)

// calendarYear is a year of a calendar.
type calendarYear struct {
	year   int
	months []calendarMonth
	// marked is how many days of the year the calendar has.
	marked int
}

// calendarMonth is a month, by weeks from Monday to Sunday.
type calendarMonth struct {
	name  string
	weeks [][7]calendarDay
}

// calendarDay is a day of a month. Its number is 0 if the day is of another month.
type calendarDay struct {
	number int
	// why is how the calendar has the day: empty if it has not.
	why     string
	isToday bool
}

// class is how the day looks.
func (d calendarDay) class() string {
	var classes []string
	if d.why != "" {
		classes = append(classes, "has", d.why)
	}
	if d.isToday {
		classes = append(classes, "today")
	}
	return strings.Join(classes, " ")
}

// yearOf returns the year that the page is asked for, or this one.
func yearOf(p *page, c client.Calendar) (calendarYear, error) {
	location := locationOf(c.TimeZone)
	if location == nil {
		location = time.UTC
	}
	today := p.now.In(location)
	year := today.Year()
	if text := p.URL.Query().Get("year"); text != "" {
		var err error
		if year, err = strconv.Atoi(text); err != nil || year < 1 || year > 9999 {
			return calendarYear{}, wrongField("year", "is no year")
		}
	}
	return drawYear(c, year, today), nil
}

// drawYear marks the days of a year that a calendar has.
func drawYear(c client.Calendar, year int, today time.Time) calendarYear {
	marks := marksOf(c)
	drawn := calendarYear{year: year}
	for month := time.January; month <= time.December; month++ {
		first := time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
		m := calendarMonth{name: month.String()}
		column := (int(first.Weekday()) + 6) % 7 // weeks begin on Mondays
		for day := first; day.Month() == month; day = day.AddDate(0, 0, 1) {
			if column == 0 || len(m.weeks) == 0 {
				m.weeks = append(m.weeks, [7]calendarDay{})
			}
			d := calendarDay{number: day.Day(), why: marks.of(day)}
			d.isToday = day.Format(time.DateOnly) == today.Format(time.DateOnly)
			if d.why != "" {
				drawn.marked++
			}
			m.weeks[len(m.weeks)-1][column] = d
			column = (column + 1) % 7
		}
		drawn.months = append(drawn.months, m)
	}
	return drawn
}

// dayMarks are the days of a calendar, to be looked up.
type dayMarks struct {
	dates, yearly, weekdays map[string]bool
	ranges                  [][2]string // first and last days
}

func marksOf(c client.Calendar) dayMarks {
	set := func(values []string) map[string]bool {
		all := map[string]bool{}
		for _, value := range values {
			all[value] = true
		}
		return all
	}
	marks := dayMarks{dates: set(dateTexts(c)), yearly: set(c.Yearly), weekdays: map[string]bool{}}
	for _, r := range c.Ranges {
		marks.ranges = append(marks.ranges, [2]string{r.From.String(), r.To.String()})
	}
	for _, day := range c.Weekdays {
		marks.weekdays[string(day)] = true
	}
	return marks
}

// of says how the calendar has a day. What was entered for a single day comes first.
func (m dayMarks) of(day time.Time) string {
	text := day.Format(time.DateOnly)
	if m.dates[text] {
		return "date"
	}
	for _, r := range m.ranges {
		if r[0] <= text && text <= r[1] { // dates of four-digit years sort as texts
			return "range"
		}
	}
	switch {
	case m.yearly[text[len("2006-"):]]:
		return "yearly"
	case m.weekdays[strings.ToUpper(day.Weekday().String())]:
		return "weekday"
	default:
		return ""
	}
}
