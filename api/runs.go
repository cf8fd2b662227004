package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/gen/server"
	"punctual/internal/history"
	"punctual/internal/runid"
)

// endOfTime is where a list that is newest first begins.
var endOfTime = time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC)

// runRow is what each query that reads runs returns.
type runRow = db.GetRunRow

// GetRun reads one run, open or ended.
func (s *handlers) GetRun(ctx context.Context, r server.GetRunRequestObject) (server.GetRunResponseObject, error) {
	row, err := s.findRun(ctx, r.Id)
	if errors.Is(err, pgx.ErrNoRows) {
		return server.GetRun404ApplicationProblemPlusJSONResponse{
			NotFoundApplicationProblemPlusJSONResponse: notFound(ctx, "run"),
		}, nil
	}
	if err != nil {
		return nil, err
	}
	run, err := encodeRun(row)
	return server.GetRun200JSONResponse(run), err
}

// findRun reads one run. It returns pgx.ErrNoRows where there is none.
func (s *handlers) findRun(ctx context.Context, id uuid.UUID) (runRow, error) {
	scheduledFor, jobTail, ok := runid.Parse(id)
	if !ok {
		return runRow{}, pgx.ErrNoRows
	}
	return history.Get(ctx, s.Pool, db.GetRunParams{ScheduledFor: scheduledFor, JobTail: jobTail})
}

// ListJobRuns reads a page of a job's runs.
func (s *handlers) ListJobRuns(ctx context.Context, r server.ListJobRunsRequestObject) (server.ListJobRunsResponseObject, error) {
	limit := orDefault(r.Params.Limit, defaultLimit)
	before := cursor{at: endOfTime}
	if r.Params.Cursor != nil {
		var err error
		if before, err = parseCursor(*r.Params.Cursor); err != nil {
			return server.ListJobRuns400ApplicationProblemPlusJSONResponse{
				BadRequestApplicationProblemPlusJSONResponse: notValid(ctx,
					server.FieldError{In: server.FieldErrorInQuery, Field: "cursor", Detail: err.Error()}),
			}, nil
		}
	}
	// Nothing ties a job's runs to the job, so whether there is such a job has to be asked.
	if _, err := s.queries.GetJob(ctx, r.Id); errors.Is(err, pgx.ErrNoRows) {
		return server.ListJobRuns404ApplicationProblemPlusJSONResponse{
			NotFoundApplicationProblemPlusJSONResponse: notFound(ctx, "job"),
		}, nil
	} else if err != nil {
		return nil, fmt.Errorf("get job: %w", err)
	}
	rows, err := history.List(ctx, s.Pool, db.ListRunsParams{
		JobID: r.Id, Before: before.at, Status: (*string)(r.Params.Status), MaxRows: limit + 1,
	})
	if err != nil {
		return nil, err
	}
	page := server.RunPage{Limit: limit}
	if len(rows) > int(limit) {
		rows = rows[:limit]
		next := cursor{at: rows[limit-1].ScheduledFor}.String()
		page.NextCursor = &next
	}
	page.Items = make([]server.Run, len(rows))
	for i, row := range rows {
		if page.Items[i], err = encodeRun(runRow(row)); err != nil {
			return nil, err
		}
	}
	return server.ListJobRuns200JSONResponse(page), nil
}
