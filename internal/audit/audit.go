// Package audit records who changed what: one row for each operation that changed something, in the
// transaction of the change.
package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/access"
)

// ResourceType says what kind of thing was changed.
type ResourceType string

// The kinds of things.
const (
	Job        ResourceType = "JOB"
	Run        ResourceType = "RUN"
	Key        ResourceType = "KEY"
	Namespace  ResourceType = "NAMESPACE"
	Connection ResourceType = "CONNECTION"
	Calendar   ResourceType = "CALENDAR"
)

// Entry is one operation that changed something.
type Entry struct {
	// Operation is the operationId of the contract, or a name in the same style for what the
	// service does of its own accord.
	Operation string
	Type      ResourceType
	// ID is the id or the name of what was changed.
	ID string
	// Result is what came of it, in the form of the contract's AuditResult, without secrets. It is
	// encoded as JSON; nil is an empty object.
	Result any
}

// attemptMark is in the ids of attempts, and in no id that a client gives.
const attemptMark = "~"

// NewAttempt returns the id of an attempt to serve a request that has an Idempotency-Key.
func NewAttempt(requestID string) string { return requestID + attemptMark + uuid.NewString() }

// ErrSuperseded is the error for a change whose request has an Idempotency-Key and is being served
// by another attempt by now: see internal/idempotency. The change must not be committed.
var ErrSuperseded = errors.New("another attempt serves the request")

// IsAttempt reports whether a request has an Idempotency-Key, by its id.
func IsAttempt(requestID string) bool { return strings.Contains(requestID, attemptMark) }

// WithoutAttempt returns the id of the request of an attempt.
func WithoutAttempt(requestID string) string {
	id, _, _ := strings.Cut(requestID, attemptMark)
	return id
}

// Record writes an entry in the caller's namespace. Call it in the transaction of the change. It
// may return ErrSuperseded, or access.ErrMoving.
func Record(ctx context.Context, tx *db.Queries, by access.Caller, entry Entry) error {
	result, err := entry.result()
	if err != nil {
		return err
	}
	n, err := tx.AddToAudit(ctx, db.AddToAuditParams{
		Namespace: by.Namespace, Actor: by.Actor, Operation: entry.Operation, ResourceType: string(entry.Type),
		ResourceID: entry.ID, RequestID: by.RequestID, Result: result,
	})
	if err != nil {
		return fmt.Errorf("write %s to the audit: %w", entry.Operation, err)
	}
	if n == 0 {
		return WhyRefused(ctx, tx, by.Namespace)
	}
	return nil
}

// WhyRefused returns why a change in a namespace may not be made that AddToAudit has refused.
func WhyRefused(ctx context.Context, tx *db.Queries, namespace string) error {
	if err := refuseMoving(ctx, tx, namespace); err != nil {
		return err
	}
	return ErrSuperseded
}

// refuseMoving returns access.ErrMoving if a namespace is being moved to another cell, or has been.
func refuseMoving(ctx context.Context, tx *db.Queries, namespace string) error {
	isHere, err := tx.IsHere(ctx, namespace)
	if err != nil {
		return fmt.Errorf("look whether the namespace is being moved: %w", err)
	}
	if !isHere {
		return access.ErrMoving
	}
	return nil
}

// RecordAll is Record for many entries.
func RecordAll(ctx context.Context, tx *db.Queries, by access.Caller, entries []Entry) error {
	if err := refuseMoving(ctx, tx, by.Namespace); err != nil {
		return err
	}
	return RecordApart(ctx, tx, by, entries)
}

// RecordApart is RecordAll for entries that are not in the cell of the caller's namespace.
func RecordApart(ctx context.Context, tx *db.Queries, by access.Caller, entries []Entry) error {
	rows := make([]db.CopyAuditParams, len(entries))
	var request *string
	if by.RequestID != "" {
		request = &by.RequestID
	}
	for i, entry := range entries {
		result, err := entry.result()
		if err != nil {
			return err
		}
		rows[i] = db.CopyAuditParams{
			Namespace: by.Namespace, Actor: by.Actor, Operation: entry.Operation, ResourceType: string(entry.Type),
			ResourceID: entry.ID, RequestID: request, Result: result,
		}
	}
	if IsAttempt(by.RequestID) {
		n, err := tx.HoldAttempt(ctx, by.RequestID)
		if err != nil {
			return fmt.Errorf("lock the attempt: %w", err)
		}
		if n == 0 {
			return ErrSuperseded
		}
	}
	if _, err := tx.CopyAudit(ctx, rows); err != nil {
		return fmt.Errorf("write %d entries to the audit: %w", len(entries), err)
	}
	return nil
}

// result returns what came of the operation, as JSON.
func (e Entry) result() ([]byte, error) {
	if e.Result == nil {
		return []byte("{}"), nil
	}
	result, err := json.Marshal(e.Result)
	if err != nil {
		return nil, fmt.Errorf("encode what came of %s for the audit: %w", e.Operation, err)
	}
	return result, nil
}
