package api

import (
	"context"
	"fmt"

	"punctual/gen/db"
	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/instant"
)

// maxWaiting is up to where the runs that wait in a queue are counted.
const maxWaiting = 10_000

// ListQueues reads a page of the queues of the namespace.
func (s *handlers) ListQueues(ctx context.Context, r server.ListQueuesRequestObject) (server.ListQueuesResponseObject, error) {
	page := server.QueuePage{Limit: orDefault(r.Params.Limit, defaultLimit)}
	after, err := keyFromCursor(r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	namespace := access.From(ctx).Namespace
	rows, err := s.queries.ListQueues(ctx, db.ListQueuesParams{
		After: access.Qualified(namespace, after), Before: access.QueuesEnd(namespace),
		MaxRows: page.Limit + 1, MaxCount: maxWaiting + 1,
	})
	if err != nil {
		return nil, fmt.Errorf("list the queues: %w", err)
	}
	rows, page.NextCursor = cutPage(rows, page.Limit, func(last db.ListQueuesRow) string {
		return keyCursor(access.Unqualified(last.Queue))
	})
	page.Items = encodeAll(rows, encodeQueue)
	return server.ListQueues200JSONResponse(page), nil
}

// encodeQueue makes the API's queue of the database's.
func encodeQueue(row db.ListQueuesRow) server.Queue {
	out := server.Queue{
		Name: access.Unqualified(row.Queue), Waiting: min(row.Waiting, maxWaiting), WaitingIsCapped: row.Waiting > maxWaiting,
		Leased: row.Leased, WorkersAsking: row.Asking,
	}
	if row.Waiting > 0 {
		out.OldestReadyAt = &instant.Time{Time: row.OldestReadyAt}
	}
	return out
}
