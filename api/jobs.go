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
	"punctual/internal/jobs"
)

const (
	// maxTotal is up to where a list counts exactly.
	maxTotal = 10_000
	// maxOffset is how many jobs a page may lie behind the first: paging costs more the deeper it goes.
	maxOffset = maxTotal
)

// jobRow is what each query that reads jobs returns.
type jobRow = db.GetJobRow

// CreateJob stores a job and its first occurrence.
func (s *handlers) CreateJob(ctx context.Context, r server.CreateJobRequestObject) (server.CreateJobResponseObject, error) {
	now, err := s.queries.DatabaseTime(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask for the time: %w", err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make a job id: %w", err)
	}
	definition, err := s.definitions.complete(*r.Body)
	if err != nil {
		return nil, fmt.Errorf("complete the definition: %w", err)
	}
	job, wrong := define(definition, id, nil, now)
	faults, err := s.defineTarget(&job, *definition.Target, nil)
	if err != nil {
		return nil, err
	}
	wrong = append(append(wrong, faults...), checkGroup(job)...)
	var first time.Time
	if len(wrong) == 0 {
		if first, err = jobs.First(&job, now); err != nil {
			never, ok := errors.AsType[jobs.NeverDueError](err)
			if !ok {
				return nil, err
			}
			wrong = append(wrong, inBody(never.Field, never.Detail))
		}
	}
	if len(wrong) > 0 {
		return server.CreateJob400ApplicationProblemPlusJSONResponse{
			BadRequestApplicationProblemPlusJSONResponse: notValid(ctx, wrong...),
		}, nil
	}
	created, err := s.queries.CreateJob(ctx, jobs.CreateParams(job, now, first))
	if err != nil {
		return nil, fmt.Errorf("create job: %w", err)
	}
	s.announce(created.Queue, first, now)
	return server.CreateJob201JSONResponse{
		Headers: server.CreateJob201ResponseHeaders{Location: "/api/v1/jobs/" + id.String()},
		Body:    encodeJob(jobRow{Job: created, ScheduledFor: &first}),
	}, nil
}

// announce tells who executes runs of a target that something is due.
func (s *handlers) announce(queue *string, readyAt, now time.Time) {
	s.Announce(orDefault(queue, ""), readyAt, now)
}

// GetJob reads one job.
func (s *handlers) GetJob(ctx context.Context, r server.GetJobRequestObject) (server.GetJobResponseObject, error) {
	row, err := s.queries.GetJob(ctx, r.Id)
	if errors.Is(err, pgx.ErrNoRows) {
		return server.GetJob404ApplicationProblemPlusJSONResponse{
			NotFoundApplicationProblemPlusJSONResponse: notFound(ctx, "job"),
		}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get job: %w", err)
	}
	return server.GetJob200JSONResponse(encodeJob(row)), nil
}

// ListJobs reads a page of jobs, by number or by cursor.
func (s *handlers) ListJobs(ctx context.Context, r server.ListJobsRequestObject) (server.ListJobsResponseObject, error) {
	limit, status := orDefault(r.Params.Limit, defaultLimit), (*db.JobStatus)(r.Params.Status)
	page := server.JobPage{Limit: limit}
	rows, wrong, err := s.readJobs(ctx, r.Params, &page)
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	if wrong != nil {
		return server.ListJobs400ApplicationProblemPlusJSONResponse{
			BadRequestApplicationProblemPlusJSONResponse: notValid(ctx, *wrong),
		}, nil
	}
	total, err := s.queries.CountJobs(ctx, db.CountJobsParams{Status: status, MaxCount: maxTotal + 1})
	if err != nil {
		return nil, fmt.Errorf("count jobs: %w", err)
	}
	page.Total, page.TotalIsCapped = min(total, maxTotal), total > maxTotal

	if len(rows) > int(limit) {
		rows = rows[:limit]
		last := rows[limit-1].Job
		next := cursor{at: last.CreatedAt, id: last.ID}.String()
		page.NextCursor = &next
	}
	page.Items = encodeAll(rows, encodeJob)
	return server.ListJobs200JSONResponse(page), nil
}

// readJobs reads the rows of the page that was asked for and one more, which tells that there is a next page.
func (s *handlers) readJobs(ctx context.Context, p server.ListJobsParams, page *server.JobPage) ([]jobRow, *server.FieldError, error) {
	limit, status := page.Limit, (*db.JobStatus)(p.Status)
	if p.Cursor == nil {
		number := int64(1)
		if p.Page != nil {
			number = *p.Page
		}
		offset := (number - 1) * int64(limit)
		if offset >= maxOffset {
			return nil, &server.FieldError{
				In: server.FieldErrorInQuery, Field: "page", Detail: fmt.Sprintf("reaches the first %d jobs only: go on by cursor", maxOffset),
			}, nil
		}
		page.Page = &number
		rows, err := s.queries.ListJobs(ctx, db.ListJobsParams{Status: status, SkipRows: int32(offset), MaxRows: limit + 1})
		return encodeAll(rows, func(r db.ListJobsRow) jobRow { return jobRow(r) }), nil, err
	}
	if p.Page != nil {
		return nil, &server.FieldError{In: server.FieldErrorInQuery, Field: "page", Detail: "cannot be given together with cursor"}, nil
	}
	after, err := parseCursor(*p.Cursor)
	if err != nil {
		return nil, &server.FieldError{In: server.FieldErrorInQuery, Field: "cursor", Detail: err.Error()}, nil
	}
	rows, err := s.queries.ListJobsAfter(ctx, db.ListJobsAfterParams{
		Status: status, AfterCreatedAt: after.at, AfterID: after.id, MaxRows: limit + 1,
	})
	return encodeAll(rows, func(r db.ListJobsAfterRow) jobRow { return jobRow(r) }), nil, err
}
