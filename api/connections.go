package api

import (
	"context"
	"fmt"

	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/connections"
	"punctual/internal/executor"
	"punctual/internal/instant"
)

// CreateConnection stores a connection.
func (s *handlers) CreateConnection(ctx context.Context, r server.CreateConnectionRequestObject) (server.CreateConnectionResponseObject, error) {
	view, err := s.Connections.Create(ctx, access.From(ctx), *r.Body)
	if err != nil {
		return nil, fmt.Errorf("create a connection: %w", err)
	}
	return connectionCreated(view), nil
}

func connectionCreated(view connections.View) server.CreateConnection201JSONResponse {
	return server.CreateConnection201JSONResponse{
		Headers: server.CreateConnection201ResponseHeaders{Location: "/api/v1/connections/" + view.Key},
		Body:    encodeConnection(view),
	}
}

// GetConnection reads one connection.
func (s *handlers) GetConnection(ctx context.Context, r server.GetConnectionRequestObject) (server.GetConnectionResponseObject, error) {
	view, err := s.Connections.Get(ctx, access.From(ctx), r.Key)
	if err != nil {
		return nil, fmt.Errorf("get a connection: %w", err)
	}
	return server.GetConnection200JSONResponse(encodeConnection(view)), nil
}

// UpdateConnection changes what the request names.
func (s *handlers) UpdateConnection(ctx context.Context, r server.UpdateConnectionRequestObject) (server.UpdateConnectionResponseObject, error) {
	view, err := s.Connections.Update(ctx, access.From(ctx), r.Key, *r.Body)
	if err != nil {
		return nil, fmt.Errorf("update a connection: %w", err)
	}
	return server.UpdateConnection200JSONResponse(encodeConnection(view)), nil
}

// DeleteConnection deletes a connection that no job uses.
func (s *handlers) DeleteConnection(ctx context.Context, r server.DeleteConnectionRequestObject) (server.DeleteConnectionResponseObject, error) {
	if err := s.Connections.Delete(ctx, access.From(ctx), r.Key); err != nil {
		return nil, fmt.Errorf("delete a connection: %w", err)
	}
	return server.DeleteConnection204Response{}, nil
}

// ListConnections reads a page of connections.
func (s *handlers) ListConnections(ctx context.Context, r server.ListConnectionsRequestObject) (server.ListConnectionsResponseObject, error) {
	page := server.ConnectionPage{Limit: orDefault(r.Params.Limit, defaultLimit)}
	after, err := keyFromCursor(r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	views, err := s.Connections.List(ctx, access.From(ctx), after, page.Limit+1)
	if err != nil {
		return nil, err
	}
	views, page.NextCursor = cutPage(views, page.Limit, func(last connections.View) string { return keyCursor(last.Key) })
	page.Items = encodeAll(views, encodeConnection)
	return server.ListConnections200JSONResponse(page), nil
}

// encodeConnection makes the API's connection of a view of one.
func encodeConnection(view connections.View) server.Connection {
	out := server.Connection{
		Key: view.Key, BaseUrl: view.BaseUrl, Headers: server.ConnectionHeaders{}, Auth: encodeAuth(view.Definition.Auth),
		Tls: encodeTLS(view.Definition.TLS), Secrets: view.SecretNames, PublicKeys: []string{},
		MaxConcurrency: view.MaxConcurrency, MaxPerSecond: view.MaxPerSecond, Adaptive: view.IsAdaptive,
		State: server.ConnectionStateUP, StateReason: view.Reason, StateSince: encodeInstant(view.DownSince),
		WaitsUntil: encodeInstant(view.WaitsUntil), CreatedAt: instant.Time{Time: view.CreatedAt},
		UpdatedAt: instant.Time{Time: view.UpdatedAt}, UpdatedBy: view.UpdatedBy,
	}
	if view.Definition.PublicKeys != nil {
		out.PublicKeys = view.Definition.PublicKeys
	}
	if view.Definition.Headers != nil {
		out.Headers = view.Definition.Headers
	}
	switch {
	case view.DownSince != nil:
		out.State = server.ConnectionStateDOWN
	case view.WaitsUntil != nil:
		out.State = server.ConnectionStateSLOWED
	default:
		out.StateReason = nil // that of a wait that is over
	}
	return out
}

func encodeAuth(auth executor.ConnectionAuth) server.ConnectionAuth {
	out := server.ConnectionAuth{
		Type: server.ConnectionAuthType(auth.Type), Username: textOrNil(auth.Username), TokenUrl: textOrNil(auth.TokenURL),
		ClientId: textOrNil(auth.ClientID), Audience: textOrNil(auth.Audience),
	}
	if len(auth.Scopes) > 0 {
		out.Scopes = &auth.Scopes
	}
	return out
}

func encodeTLS(tls executor.ConnectionTLS) server.ConnectionTls {
	return server.ConnectionTls{
		Ca: textOrNil(tls.CA), ClientCertificate: textOrNil(tls.ClientCertificate), ServerName: textOrNil(tls.ServerName),
	}
}

// textOrNil returns a text that may be left out.
func textOrNil(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
