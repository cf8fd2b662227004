package api

import (
	"context"
	"errors"

	"punctual/gen/server"
)

var errNotBuilt = errors.New("not built yet")

func (s *handlers) CreateCalendar(context.Context, server.CreateCalendarRequestObject) (server.CreateCalendarResponseObject, error) {
	return nil, errNotBuilt
}

func (s *handlers) ListCalendars(context.Context, server.ListCalendarsRequestObject) (server.ListCalendarsResponseObject, error) {
	return nil, errNotBuilt
}

func (s *handlers) GetCalendar(context.Context, server.GetCalendarRequestObject) (server.GetCalendarResponseObject, error) {
	return nil, errNotBuilt
}

func (s *handlers) ReplaceCalendar(context.Context, server.ReplaceCalendarRequestObject) (server.ReplaceCalendarResponseObject, error) {
	return nil, errNotBuilt
}

func (s *handlers) DeleteCalendar(context.Context, server.DeleteCalendarRequestObject) (server.DeleteCalendarResponseObject, error) {
	return nil, errNotBuilt
}
