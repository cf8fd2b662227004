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
	"punctual/internal/clock"
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

// maxScanned is how many entries a list looks at for those that match.
const maxScanned = 10_000

// List returns entries of the caller's namespace, and where the list goes on, or nil if it ends.
// There may be more after fewer than f.Max entries, or after none.
//
// A caller who is bound to the namespace sees nothing of a deleted one that had the same name.
func List(ctx context.Context, q *db.Queries, by access.Caller, f Filter) (rows []Row, next *Place, err error) {
	// One bound is enough, and an index is read from one bound on.
	if f.Until.IsZero() {
		f.Until = clock.EndOfTime
	}
	if f.Before.At.IsZero() || f.Before.At.After(f.Until) {
		f.Before = Place{f.Until, uuid.Max}
	}
	if !by.IsServiceWide {
		namespace, err := q.GetNamespace(ctx, by.Namespace)
		if err != nil {
			return nil, nil, fmt.Errorf("read the namespace: %w", err)
		}
		if f.Since.Before(namespace.CreatedAt) {
			f.Since = namespace.CreatedAt
		}
	}
	rows, err = look(ctx, q, by, f)
	isFull := len(rows) > int(f.Max)
	if err == nil && !isFull {
		next, err = lookedUpTo(ctx, q, by, f)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the audit: %w", err)
	}
	rows = rows[:min(len(rows), int(f.Max))]
	// Entries may have come since the look, though older than others that it saw. So next is no
	// older than the last of those, and may be newer than one that is on the page.
	if n := len(rows); isFull || (next != nil && n > 0 && next.isAfter(rows[n-1])) {
		next = &Place{rows[n-1].At, rows[n-1].ID}
	}
	return rows, next, nil
}

// look returns the entries that match among a bounded number of them, up to one more than f.Max.
func look(ctx context.Context, q *db.Queries, by access.Caller, f Filter) ([]Row, error) {
	if f.ResourceID == nil {
		return q.ListAudit(ctx, db.ListAuditParams{
			Namespace: by.Namespace, BeforeAt: f.Before.At, BeforeID: f.Before.ID, Since: f.Since,
			Actor: f.Actor, Operation: f.Operation, ResourceType: f.ResourceType, MaxScanned: maxScanned, MaxRows: f.Max + 1,
		})
	}
	return q.ListAuditOf(ctx, db.ListAuditOfParams{
		Namespace: by.Namespace, ResourceID: *f.ResourceID, BeforeAt: f.Before.At, BeforeID: f.Before.ID, Since: f.Since,
		Actor: f.Actor, Operation: f.Operation, ResourceType: f.ResourceType, MaxScanned: maxScanned, MaxRows: f.Max + 1,
	})
}

// lookedUpTo returns the last entry that look has looked at, or nil if that was all of them.
func lookedUpTo(ctx context.Context, q *db.Queries, by access.Caller, f Filter) (*Place, error) {
	var last db.AuditPlaceRow
	var err error
	if f.ResourceID == nil {
		last, err = q.AuditPlace(ctx, db.AuditPlaceParams{
			Namespace: by.Namespace, BeforeAt: f.Before.At, BeforeID: f.Before.ID, Since: f.Since, Scanned: maxScanned - 1,
		})
	} else {
		var of db.AuditPlaceOfRow
		of, err = q.AuditPlaceOf(ctx, db.AuditPlaceOfParams{
			Namespace: by.Namespace, ResourceID: *f.ResourceID, BeforeAt: f.Before.At, BeforeID: f.Before.ID, Since: f.Since,
			Scanned: maxScanned - 1,
		})
		last = db.AuditPlaceRow(of)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return &Place{last.At, last.ID}, err
}

// isAfter reports whether a place is above an entry in the list, which has the newest first.
func (p Place) isAfter(row Row) bool {
	order := p.At.Compare(row.At)
	return order > 0 || (order == 0 && bytes.Compare(p.ID[:], row.ID[:]) > 0)
}
