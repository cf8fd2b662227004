package api

import (
	"context"
	"fmt"

	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/audit"
	"punctual/internal/instant"
)

// ListAudit reads a page of the audit.
func (s *handlers) ListAudit(ctx context.Context, r server.ListAuditRequestObject) (server.ListAuditResponseObject, error) {
	filter, err := decodeAuditFilter(r.Params)
	if err != nil {
		return nil, err
	}
	rows, next, err := audit.List(ctx, s.queries, access.From(ctx), filter)
	if err != nil {
		return nil, fmt.Errorf("list the audit: %w", err)
	}
	page := server.AuditPage{Limit: filter.Max, Items: encodeAll(rows, encodeAuditEntry)}
	if next != nil {
		page.NextCursor = new(cursor{at: next.At, id: next.ID}.String())
	}
	return server.ListAudit200JSONResponse(page), nil
}

func decodeAuditFilter(p server.ListAuditParams) (audit.Filter, error) {
	filter := audit.Filter{
		Actor: p.Actor, Operation: p.Operation, ResourceType: (*string)(p.ResourceType), ResourceID: p.ResourceId,
		Max: orDefault(p.Limit, defaultLimit),
	}
	if p.From != nil {
		filter.Since = p.From.Time
	}
	if p.To != nil {
		filter.Until = p.To.Time
	}
	before, err := decodeCursor(p.Cursor, cursor{})
	filter.Before = audit.Place{At: before.at, ID: before.id}
	return filter, err
}

func encodeAuditEntry(row audit.Row) server.AuditEntry {
	return server.AuditEntry{
		Id: row.ID, At: instant.Time{Time: row.At}, Actor: row.Actor, Operation: row.Operation,
		ResourceType: server.ResourceType(row.ResourceType), ResourceId: row.ResourceID, RequestId: row.RequestID, Result: row.Result,
	}
}
