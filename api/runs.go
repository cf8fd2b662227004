package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"punctual/gen/api"
	"punctual/gen/db"
	"punctual/internal/runid"
)

// endOfTime is where a list that is newest first begins.
var endOfTime = time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC)

// runRow is what each query that reads runs returns.
type runRow = db.GetRunRow

// GetRun reads one run, in flight or ended.
func (s *server) GetRun(ctx context.Context, r api.GetRunRequestObject) (api.GetRunResponseObject, error) {
	missing := api.GetRun404ApplicationProblemPlusJSONResponse{
		NotFoundApplicationProblemPlusJSONResponse: notFound(ctx, "run"),
	}
	scheduledFor, jobTail, ok := runid.Parse(r.Id)
	if !ok {
		return missing, nil
	}
	row, err := s.queries.GetRun(ctx, db.GetRunParams{ScheduledFor: scheduledFor, JobTail: jobTail})
	if errors.Is(err, pgx.ErrNoRows) {
		return missing, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get run: %w", err)
	}
	run, err := encodeRun(row)
	return api.GetRun200JSONResponse(run), err
}

// ListJobRuns reads a page of a job's runs.
func (s *server) ListJobRuns(ctx context.Context, r api.ListJobRunsRequestObject) (api.ListJobRunsResponseObject, error) {
	limit := orDefault(r.Params.Limit, defaultLimit)
	before := cursor{at: endOfTime}
	if r.Params.Cursor != nil {
		var err error
		if before, err = parseCursor(*r.Params.Cursor); err != nil {
			return api.ListJobRuns400ApplicationProblemPlusJSONResponse{
				BadRequestApplicationProblemPlusJSONResponse: notValid(ctx,
					api.FieldError{In: api.FieldErrorInQuery, Field: "cursor", Detail: err.Error()}),
			}, nil
		}
	}
	// Nothing ties a job's runs to the job, so whether there is such a job has to be asked.
	if _, err := s.queries.GetJob(ctx, r.Id); errors.Is(err, pgx.ErrNoRows) {
		return api.ListJobRuns404ApplicationProblemPlusJSONResponse{
			NotFoundApplicationProblemPlusJSONResponse: notFound(ctx, "job"),
		}, nil
	} else if err != nil {
		return nil, fmt.Errorf("get job: %w", err)
	}
	rows, err := s.queries.ListRuns(ctx, db.ListRunsParams{
		JobID: r.Id, Before: before.at, Status: (*string)(r.Params.Status), MaxRows: limit + 1,
	})
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	page := api.RunPage{Limit: limit}
	if len(rows) > int(limit) {
		rows = rows[:limit]
		next := cursor{at: rows[limit-1].ScheduledFor}.String()
		page.NextCursor = &next
	}
	page.Items = make([]api.Run, len(rows))
	for i, row := range rows {
		if page.Items[i], err = encodeRun(runRow(row)); err != nil {
			return nil, err
		}
	}
	return api.ListJobRuns200JSONResponse(page), nil
}
