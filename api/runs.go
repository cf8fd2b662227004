package api

import (
	"context"
	"fmt"

	"punctual/gen/db"
	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/clock"
	"punctual/internal/history"
	"punctual/internal/jobs"
)

// GetRun reads one run, open or ended.
func (s *handlers) GetRun(ctx context.Context, r server.GetRunRequestObject) (server.GetRunResponseObject, error) {
	run, err := encodeFound(s.Jobs.GetRun(ctx, access.From(ctx), r.Id))
	if err != nil {
		return nil, fmt.Errorf("get a run: %w", err)
	}
	return server.GetRun200JSONResponse(run), nil
}

// RetryRun starts a run that repeats another.
func (s *handlers) RetryRun(ctx context.Context, r server.RetryRunRequestObject) (server.RetryRunResponseObject, error) {
	run, err := encodeFound(s.Jobs.Retry(ctx, access.From(ctx), r.Id, (*db.OverlapPolicy)(r.Params.OverlapPolicy)))
	if err != nil {
		return nil, fmt.Errorf("retry a run: %w", err)
	}
	return runRetried(run), nil
}

func runRetried(run server.Run) server.RetryRun202JSONResponse {
	return server.RetryRun202JSONResponse{Headers: server.RetryRun202ResponseHeaders{Location: runPath(run.Id)}, Body: run}
}

// CancelRun makes a run end.
func (s *handlers) CancelRun(ctx context.Context, r server.CancelRunRequestObject) (server.CancelRunResponseObject, error) {
	run, err := encodeFound(s.Jobs.Cancel(ctx, access.From(ctx), r.Id))
	if err != nil {
		return nil, fmt.Errorf("cancel a run: %w", err)
	}
	return server.CancelRun202JSONResponse(run), nil
}

// ListJobRuns reads a page of a job's runs.
func (s *handlers) ListJobRuns(ctx context.Context, r server.ListJobRunsRequestObject) (server.ListJobRunsResponseObject, error) {
	limit := orDefault(r.Params.Limit, defaultLimit)
	before, err := decodeCursor(r.Params.Cursor, cursor{at: clock.EndOfTime})
	if err != nil {
		return nil, err
	}
	// Nothing ties a job's runs to the job, so whether there is such a job has to be asked.
	if _, err := s.Jobs.Get(ctx, access.From(ctx), r.Id); err != nil {
		return nil, fmt.Errorf("list a job's runs: %w", err)
	}
	rows, err := history.List(ctx, s.Pool, db.ListRunsParams{
		JobID: r.Id, Before: before.at, MaxRows: limit + 1,
	})
	if err != nil {
		return nil, fmt.Errorf("list a job's runs: %w", err)
	}
	page := server.RunPage{Limit: limit}
	if len(rows) > int(limit) {
		rows = rows[:limit]
		page.NextCursor = new(cursor{at: rows[limit-1].ScheduledFor}.String())
	}
	page.Items, err = encodeEach(rows, func(row db.ListRunsRow) (server.Run, error) { return encodeRun(jobs.Run(row)) })
	if err != nil {
		return nil, err
	}
	return server.ListJobRuns200JSONResponse(page), nil
}
