package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/internal/access"
)

// Row is an entry as it is stored.
type Row = db.Audit

// Filter says which entries to list, newest first. Zero means all.
type Filter struct {
	Actor, Operation, ResourceType, ResourceID *string
	// Since and Until are the first and the last instant.
	Since, Until time.Time
	// Before is where the list goes on: the last entry of the page before, or the last one that it
	// looked at.
	Before Place
	// Max is how many entries to return at most.
	Max int32
}

// Place is where in the audit an entry stands.
type Place struct {
	At time.Time
	ID uuid.UUID
}

// endOfTime is after each entry.
var endOfTime = time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC)

// maxScanned is how many entries a list looks at for those that match, unless it is of one thing.
const maxScanned = 10_000

// List returns entries of the caller's namespace, and where the list goes on, or nil if it ends.
// There may be more after fewer than f.Max entries, or after none.
func List(ctx context.Context, q *db.Queries, by access.Caller, f Filter) (rows []Row, next *Place, err error) {
	// One bound is enough, and an index is read from one bound on.
	if f.Until.IsZero() {
		f.Until = endOfTime
	}
	if f.Before.At.IsZero() || f.Before.At.After(f.Until) {
		f.Before = Place{f.Until, uuid.Max}
	}
	if f.ResourceID != nil {
		rows, err = q.ListAuditOf(ctx, db.ListAuditOfParams{
			Namespace: by.Namespace, ResourceID: *f.ResourceID, BeforeAt: f.Before.At, BeforeID: f.Before.ID, Since: f.Since,
			Actor: f.Actor, Operation: f.Operation, ResourceType: f.ResourceType, MaxRows: f.Max + 1,
		})
	} else {
		rows, next, err = scan(ctx, q, by, f)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the audit: %w", err)
	}
	if len(rows) > int(f.Max) {
		rows = rows[:f.Max]
		last := rows[len(rows)-1]
		next = &Place{last.At, last.ID}
	}
	return rows, next, nil
}

// scan looks at a bounded number of entries.
func scan(ctx context.Context, q *db.Queries, by access.Caller, f Filter) (rows []Row, next *Place, err error) {
	rows, err = q.ListAudit(ctx, db.ListAuditParams{
		Namespace: by.Namespace, BeforeAt: f.Before.At, BeforeID: f.Before.ID, Since: f.Since,
		Actor: f.Actor, Operation: f.Operation, ResourceType: f.ResourceType, MaxScanned: maxScanned, MaxRows: f.Max + 1,
	})
	if err != nil || len(rows) > int(f.Max) {
		return rows, nil, err
	}
	// Entries may have come since then, though older than others that were looked at. So this is no
	// older than the last of those, and may be newer than one that is on the page.
	looked, err := q.AuditPlace(ctx, db.AuditPlaceParams{
		Namespace: by.Namespace, BeforeAt: f.Before.At, BeforeID: f.Before.ID, Since: f.Since, Scanned: maxScanned - 1,
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return rows, nil, nil
	}
	next = &Place{looked.At, looked.ID}
	if n := len(rows); n > 0 && next.isAfter(rows[n-1]) {
		next = &Place{rows[n-1].At, rows[n-1].ID}
	}
	return rows, next, err
}

// isAfter reports whether a place is above an entry in the list, which has the newest first.
func (p Place) isAfter(row Row) bool {
	order := p.At.Compare(row.At)
	return order > 0 || (order == 0 && bytes.Compare(p.ID[:], row.ID[:]) > 0)
}
