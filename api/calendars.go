package api

import (
	"context"
	"fmt"
	"time"

	"github.com/oapi-codegen/runtime/types"

	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/calendars"
	"punctual/internal/instant"
	"punctual/internal/policy"
)

// CreateCalendar stores a calendar.
func (s *handlers) CreateCalendar(ctx context.Context, r server.CreateCalendarRequestObject) (server.CreateCalendarResponseObject, error) {
	view, err := s.Calendars.Create(ctx, access.From(ctx), *r.Body)
	if err != nil {
		return nil, fmt.Errorf("create a calendar: %w", err)
	}
	return calendarCreated(view), nil
}

func calendarCreated(view calendars.View) server.CreateCalendar201JSONResponse {
	return server.CreateCalendar201JSONResponse{
		Headers: server.CreateCalendar201ResponseHeaders{Location: "/api/v1/calendars/" + view.Key},
		Body:    encodeCalendar(view),
	}
}

// GetCalendar reads one calendar.
func (s *handlers) GetCalendar(ctx context.Context, r server.GetCalendarRequestObject) (server.GetCalendarResponseObject, error) {
	view, err := s.Calendars.Get(ctx, access.From(ctx), r.Key)
	if err != nil {
		return nil, fmt.Errorf("get a calendar: %w", err)
	}
	return server.GetCalendar200JSONResponse(encodeCalendar(view)), nil
}

// ReplaceCalendar replaces all of a calendar.
func (s *handlers) ReplaceCalendar(ctx context.Context, r server.ReplaceCalendarRequestObject) (server.ReplaceCalendarResponseObject, error) {
	view, err := s.Calendars.Replace(ctx, access.From(ctx), r.Key, *r.Body)
	if err != nil {
		return nil, fmt.Errorf("replace a calendar: %w", err)
	}
	return server.ReplaceCalendar200JSONResponse(encodeCalendar(view)), nil
}

// DeleteCalendar deletes a calendar that no job names.
func (s *handlers) DeleteCalendar(ctx context.Context, r server.DeleteCalendarRequestObject) (server.DeleteCalendarResponseObject, error) {
	if err := s.Calendars.Delete(ctx, access.From(ctx), r.Key); err != nil {
		return nil, fmt.Errorf("delete a calendar: %w", err)
	}
	return server.DeleteCalendar204Response{}, nil
}

// ListCalendars reads a page of calendars.
func (s *handlers) ListCalendars(ctx context.Context, r server.ListCalendarsRequestObject) (server.ListCalendarsResponseObject, error) {
	page := server.CalendarPage{Limit: orDefault(r.Params.Limit, defaultLimit)}
	after, err := keyFromCursor(r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	views, err := s.Calendars.List(ctx, access.From(ctx), after, page.Limit+1)
	if err != nil {
		return nil, err
	}
	views, page.NextCursor = cutPage(views, page.Limit, func(last calendars.View) string { return keyCursor(last.Key) })
	page.Items = encodeAll(views, encodeCalendar)
	return server.ListCalendars200JSONResponse(page), nil
}

// encodeCalendar makes the API's calendar of a view of one.
func encodeCalendar(view calendars.View) server.Calendar {
	out := server.Calendar{
		Key: view.Key, TimeZone: view.Days.TimeZone, Dates: encodeAll(view.Days.Dates, encodeDate), Yearly: view.Days.Yearly,
		Weekdays: encodeAll(view.Days.Weekdays, func(day string) server.Weekday { return server.Weekday(day) }),
		Ranges: encodeAll(view.Days.Ranges, func(r policy.DateRange) server.CalendarRange {
			return server.CalendarRange{From: encodeDate(r.From), To: encodeDate(r.To)}
		}),
		IsRunningOut: view.IsRunningOut, CreatedAt: instant.Time{Time: view.CreatedAt}, UpdatedAt: instant.Time{Time: view.UpdatedAt},
		UpdatedBy: view.UpdatedBy,
	}
	if view.ValidUntil.Valid {
		out.ValidUntil = &types.Date{Time: view.ValidUntil.Time}
	}
	return out
}

// encodeDate makes the API's day of a stored one.
func encodeDate(text string) types.Date {
	at, _ := time.Parse(time.DateOnly, text) // it was checked when it was stored
	return types.Date{Time: at}
}
