package executor

import (
	"context"
	"log/slog"
)

// Log executes a run by writing a log line with its payload.
type Log struct{ Logger *slog.Logger }

// Execute always succeeds.
func (l Log) Execute(ctx context.Context, run Run) (*Result, error) {
	l.Logger.InfoContext(ctx, "run",
		"runId", run.ID, "jobId", run.JobID, "jobName", run.JobName,
		"scheduledFor", run.ScheduledFor, "attempt", run.Attempt, "payload", run.Payload)
	return nil, nil //nolint:nilnil // it succeeds, and there is nothing to read
}
