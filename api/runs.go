package api

import (
	"context"
	"fmt"

	"punctual/gen/db"
	"punctual/gen/server"
	"punctual/internal/access"
)

// GetRun reads one run, open or ended.
func (s *handlers) GetRun(ctx context.Context, r server.GetRunRequestObject) (server.GetRunResponseObject, error) {
	run, err := s.encodeFound(s.Jobs.GetRun(ctx, access.From(ctx), r.Id))
	if err != nil {
		return nil, fmt.Errorf("get a run: %w", err)
	}
	return server.GetRun200JSONResponse(run), nil
}

// RetryRun starts a run that repeats another.
func (s *handlers) RetryRun(ctx context.Context, r server.RetryRunRequestObject) (server.RetryRunResponseObject, error) {
	run, err := s.encodeFound(s.Jobs.Retry(ctx, access.From(ctx), r.Id, (*db.OverlapPolicy)(r.Params.OverlapPolicy)))
	if err != nil {
		return nil, fmt.Errorf("retry a run: %w", err)
	}
	linkRun(ctx, run.Id)
	return runRetried(run), nil
}

func runRetried(run server.Run) server.RetryRun202JSONResponse {
	return server.RetryRun202JSONResponse{Headers: server.RetryRun202ResponseHeaders{Location: runPath(run.Id)}, Body: run}
}

// CancelRun makes a run end.
func (s *handlers) CancelRun(ctx context.Context, r server.CancelRunRequestObject) (server.CancelRunResponseObject, error) {
	run, err := s.encodeFound(s.Jobs.Cancel(ctx, access.From(ctx), r.Id))
	if err != nil {
		return nil, fmt.Errorf("cancel a run: %w", err)
	}
	return server.CancelRun202JSONResponse(run), nil
}
