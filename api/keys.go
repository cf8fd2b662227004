package api

import (
	"context"
	"fmt"

	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/instant"
	"punctual/internal/keys"
)

// CreateKey makes a key, and shows it this once.
func (s *handlers) CreateKey(ctx context.Context, r server.CreateKeyRequestObject) (server.CreateKeyResponseObject, error) {
	view, plain, err := s.Keys.Create(ctx, access.From(ctx), decodeKey(*r.Body))
	if err != nil {
		return nil, fmt.Errorf("create a key: %w", err)
	}
	key := encodeKey(view)
	key.Key = new(plain.Reveal())
	return server.CreateKey201JSONResponse{
		Headers: server.CreateKey201ResponseHeaders{Location: "/api/v1/keys/" + key.Id}, Body: key,
	}, nil
}

// ListKeys reads a page of keys.
func (s *handlers) ListKeys(ctx context.Context, r server.ListKeysRequestObject) (server.ListKeysResponseObject, error) {
	page := server.KeyPage{Limit: orDefault(r.Params.Limit, defaultLimit)}
	var after *keys.Place
	if r.Params.Cursor != nil {
		at, err := decodeCursor(r.Params.Cursor, cursor{})
		if err != nil {
			return nil, err
		}
		after = &keys.Place{CreatedAt: at.at, ID: string(at.id[:])}
		if !keys.IsID(after.ID) {
			return nil, invalidCursor()
		}
	}
	views, err := s.Keys.List(ctx, access.From(ctx), after, page.Limit+1)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	views, page.NextCursor = cutPage(views, page.Limit, func(last keys.View) string {
		return cursor{at: last.CreatedAt, id: [16]byte([]byte(last.ID))}.String()
	})
	page.Items = encodeAll(views, encodeKey)
	return server.ListKeys200JSONResponse(page), nil
}

// GetKey reads one key.
func (s *handlers) GetKey(ctx context.Context, r server.GetKeyRequestObject) (server.GetKeyResponseObject, error) {
	view, err := s.Keys.Get(ctx, access.From(ctx), r.Id)
	if err != nil {
		return nil, fmt.Errorf("get a key: %w", err)
	}
	return server.GetKey200JSONResponse(encodeKey(view)), nil
}

// RevokeKey makes a key invalid for good.
func (s *handlers) RevokeKey(ctx context.Context, r server.RevokeKeyRequestObject) (server.RevokeKeyResponseObject, error) {
	if err := s.Keys.Revoke(ctx, access.From(ctx), r.Id); err != nil {
		return nil, fmt.Errorf("revoke a key: %w", err)
	}
	return server.RevokeKey204Response{}, nil
}

func decodeKey(k server.KeyCreate) keys.Request {
	r := keys.Request{
		Description: k.Description, ExpiresAt: decodeInstant(k.ExpiresAt), RequestsPerSecond: k.RequestsPerSecond,
		Queues: orDefault(k.Queues, nil), IsServiceWide: orDefault(k.IsServiceWide, false),
	}
	for _, scope := range k.Scopes {
		r.Scopes = append(r.Scopes, access.Scope(scope))
	}
	return r
}

// encodeKey makes the API's key of a view of one.
func encodeKey(v keys.View) server.Key {
	out := server.Key{
		Id: v.ID, Namespace: v.Namespace, IsServiceWide: v.Namespace == nil, Description: v.Description,
		RequestsPerSecond: v.RequestsPerSecond, Status: server.KeyStatus(v.Status),
		Scopes:    encodeAll(v.Scopes, func(scope string) server.Scope { return server.Scope(scope) }),
		CreatedAt: instant.Time{Time: v.CreatedAt}, CreatedBy: v.CreatedBy, ExpiresAt: encodeInstant(v.ExpiresAt),
		RevokedAt: encodeInstant(v.RevokedAt), LastUsedAt: encodeInstant(v.LastUsedAt),
	}
	if v.Queues != nil {
		out.Queues = &v.Queues
	}
	return out
}
