package api

import (
	"context"
	"fmt"

	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/instant"
	"punctual/internal/namespaces"
)

// CreateNamespace stores a namespace.
func (s *handlers) CreateNamespace(ctx context.Context, r server.CreateNamespaceRequestObject) (server.CreateNamespaceResponseObject, error) {
	row, err := s.Namespaces.Create(ctx, access.From(ctx), *r.Body)
	if err != nil {
		return nil, fmt.Errorf("create a namespace: %w", err)
	}
	return namespaceCreated(row), nil
}

func namespaceCreated(row namespaces.View) server.CreateNamespace201JSONResponse {
	return server.CreateNamespace201JSONResponse{
		Headers: server.CreateNamespace201ResponseHeaders{Location: "/api/v1/namespaces/" + row.Name},
		Body:    encodeNamespace(row),
	}
}

// GetNamespace reads one namespace.
func (s *handlers) GetNamespace(ctx context.Context, r server.GetNamespaceRequestObject) (server.GetNamespaceResponseObject, error) {
	row, err := s.Namespaces.Get(ctx, access.From(ctx), r.Name)
	if err != nil {
		return nil, fmt.Errorf("get a namespace: %w", err)
	}
	return server.GetNamespace200JSONResponse(encodeNamespace(row)), nil
}

// UpdateNamespace changes what the request names.
func (s *handlers) UpdateNamespace(ctx context.Context, r server.UpdateNamespaceRequestObject) (server.UpdateNamespaceResponseObject, error) {
	row, err := s.Namespaces.Update(ctx, access.From(ctx), r.Name, *r.Body)
	if err != nil {
		return nil, fmt.Errorf("update a namespace: %w", err)
	}
	return server.UpdateNamespace200JSONResponse(encodeNamespace(row)), nil
}

// DeleteNamespace hides a namespace that has no jobs.
func (s *handlers) DeleteNamespace(ctx context.Context, r server.DeleteNamespaceRequestObject) (server.DeleteNamespaceResponseObject, error) {
	if err := s.Namespaces.Delete(ctx, access.From(ctx), r.Name); err != nil {
		return nil, fmt.Errorf("delete a namespace: %w", err)
	}
	return server.DeleteNamespace204Response{}, nil
}

// ListNamespaces reads a page of namespaces.
func (s *handlers) ListNamespaces(ctx context.Context, r server.ListNamespacesRequestObject) (server.ListNamespacesResponseObject, error) {
	page := server.NamespacePage{Limit: orDefault(r.Params.Limit, defaultLimit)}
	after, err := keyFromCursor(r.Params.Cursor)
	if err != nil || after != "" && !access.IsNamespace(after) {
		return nil, invalidCursor()
	}
	rows, err := s.Namespaces.List(ctx, access.From(ctx), after, page.Limit+1)
	if err != nil {
		return nil, err
	}
	rows, page.NextCursor = cutPage(rows, page.Limit, func(last namespaces.View) string { return keyCursor(last.Name) })
	page.Items = encodeAll(rows, encodeNamespace)
	return server.ListNamespaces200JSONResponse(page), nil
}

// encodeNamespace makes the API's namespace of a view of one.
func encodeNamespace(row namespaces.View) server.Namespace {
	return server.Namespace{
		Name: row.Name, Description: row.Description, MaxJobs: row.MaxJobs, MinIntervalSeconds: row.MinIntervalSeconds,
		RequestsPerSecond: row.RequestsPerSecond, RunRetentionDays: row.RunRetentionDays, Suspended: row.SuspendedAt != nil,
		SuspendedAt: encodeInstant(row.SuspendedAt), CreatedAt: instant.Time{Time: row.CreatedAt},
		UpdatedAt: instant.Time{Time: row.UpdatedAt}, Blackouts: encodeBlackouts(row), Cell: row.Cell,
	}
}

// encodeBlackouts makes the API's blackouts of the stored ones.
func encodeBlackouts(row namespaces.View) server.Blackouts {
	all, _ := namespaces.DecodeBlackouts(row.Blackouts) // they were checked when they were stored
	return encodeAll(all, func(b namespaces.Blackout) server.Blackout {
		return server.Blackout{From: instant.Time{Time: b.From}, To: instant.Time{Time: b.To}, Reason: &b.Reason}
	})
}
