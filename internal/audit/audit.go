// Package audit records who changed what: one row for each operation that changed something, in the
// transaction of the change.
package audit

import (
	"context"
	"encoding/json"
	"fmt"

	"punctual/gen/db"
	"punctual/internal/access"
)

// ResourceType says what kind of thing was changed.
type ResourceType string

// The kinds of things.
const (
	Job       ResourceType = "JOB"
	Run       ResourceType = "RUN"
	Key       ResourceType = "KEY"
	Namespace ResourceType = "NAMESPACE"
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

// Record writes an entry in the caller's namespace. Call it in the transaction of the change.
func Record(ctx context.Context, tx *db.Queries, by access.Caller, entry Entry) error {
	result := []byte("{}")
	if entry.Result != nil {
		var err error
		if result, err = json.Marshal(entry.Result); err != nil {
			return fmt.Errorf("encode what came of %s for the audit: %w", entry.Operation, err)
		}
	}
	err := tx.AddToAudit(ctx, db.AddToAuditParams{
		Namespace: by.Namespace, Actor: by.Actor, Operation: entry.Operation, ResourceType: string(entry.Type),
		ResourceID: entry.ID, RequestID: by.RequestID, Result: result,
	})
	if err != nil {
		return fmt.Errorf("write %s to the audit: %w", entry.Operation, err)
	}
	return nil
}
