package api

import (
	"context"
	"errors"

	"punctual/gen/server"
)

var errNotBuilt = errors.New("not built yet")

func (s *handlers) GetJwks(context.Context, server.GetJwksRequestObject) (server.GetJwksResponseObject, error) {
	return nil, errNotBuilt
}

func (s *handlers) CreateConnection(context.Context, server.CreateConnectionRequestObject) (server.CreateConnectionResponseObject, error) {
	return nil, errNotBuilt
}

func (s *handlers) ListConnections(context.Context, server.ListConnectionsRequestObject) (server.ListConnectionsResponseObject, error) {
	return nil, errNotBuilt
}

func (s *handlers) GetConnection(context.Context, server.GetConnectionRequestObject) (server.GetConnectionResponseObject, error) {
	return nil, errNotBuilt
}

func (s *handlers) UpdateConnection(context.Context, server.UpdateConnectionRequestObject) (server.UpdateConnectionResponseObject, error) {
	return nil, errNotBuilt
}

func (s *handlers) DeleteConnection(context.Context, server.DeleteConnectionRequestObject) (server.DeleteConnectionResponseObject, error) {
	return nil, errNotBuilt
}

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
