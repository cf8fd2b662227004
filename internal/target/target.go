// Package target executes runs.
package target

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// Run is what an executor is told of the run it executes.
type Run struct {
	ID           uuid.UUID
	JobID        uuid.UUID
	JobName      string
	ScheduledFor time.Time
	Attempt      int // counted from 1
	Payload      json.RawMessage
}

// Executor executes runs, many at a time.
type Executor interface {
	// Execute makes one attempt. An error fails the run, and its text is kept for the user to read. It returns soon
	// after ctx ends: then the run is no longer this instance's to execute.
	Execute(ctx context.Context, run Run) error
}
