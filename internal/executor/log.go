package executor

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"

	"punctual/internal/sanitize"
)

// maxLoggedPayload bounds, in bytes, how much of a payload is logged.
const maxLoggedPayload = 8 << 10

// Log executes a run by writing a log line with its payload. Of a large payload it writes the
// beginning and the size.
type Log struct{ Logger *slog.Logger }

// Execute always succeeds.
func (l Log) Execute(ctx context.Context, run Run) (*Result, error) {
	attrs := []any{
		"namespace", run.Namespace, "runId", run.ID, "jobId", run.JobID, "jobName", run.JobName,
		"scheduledFor", run.ScheduledFor, "attempt", run.Attempt, "payload", logged(run.Payload),
	}
	if len(run.Payload) > maxLoggedPayload {
		attrs = append(attrs, "payloadIsTruncated", true, "payloadBytes", len(run.Payload))
	}
	l.Logger.InfoContext(ctx, "run", attrs...)
	return nil, nil //nolint:nilnil // it succeeds, and there is nothing to read
}

// logged returns a payload as JSON without invisible characters. It returns the beginning of a
// large payload as a string.
func logged(payload json.RawMessage) any {
	if len(payload) > maxLoggedPayload {
		head, _ := sanitize.Text(string(payload[:maxLoggedPayload]), maxLoggedPayload)
		return sanitize.Visible(head)
	}
	var compact bytes.Buffer
	if json.Compact(&compact, payload) != nil {
		return payload // there is none
	}
	// Invisible characters can only be in strings now, where they can be escaped.
	return json.RawMessage(sanitize.Visible(compact.String()))
}
