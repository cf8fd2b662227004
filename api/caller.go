package api

import (
	"context"

	"punctual/gen/server"
	"punctual/internal/access"
)

// GetCaller says who makes the request.
func (s *handlers) GetCaller(ctx context.Context, _ server.GetCallerRequestObject) (server.GetCallerResponseObject, error) {
	by := access.From(ctx)
	out := server.Caller{
		Actor: by.Actor, Namespace: by.Namespace, IsServiceWide: by.IsServiceWide,
		Scopes: encodeAll(by.Scopes, func(scope access.Scope) server.Scope { return server.Scope(scope) }),
	}
	if by.Queues != nil {
		out.Queues = &by.Queues
	}
	return server.GetCaller200JSONResponse(out), nil
}
