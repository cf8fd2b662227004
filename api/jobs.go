package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"punctual/gen/api"
	"punctual/gen/db"
	"punctual/internal/agenda"
	"punctual/internal/target"
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
func (s *server) CreateJob(ctx context.Context, r api.CreateJobRequestObject) (api.CreateJobResponseObject, error) {
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
		if first, err = agenda.First(&job, now); err != nil {
			never, ok := errors.AsType[agenda.NeverDueError](err)
			if !ok {
				return nil, err
			}
			wrong = append(wrong, inBody(never.Field, never.Detail))
		}
	}
	if len(wrong) > 0 {
		return api.CreateJob400ApplicationProblemPlusJSONResponse{
			BadRequestApplicationProblemPlusJSONResponse: notValid(ctx, wrong...),
		}, nil
	}
	created, err := s.queries.CreateJob(ctx, agenda.CreateParams(job, now, first))
	if err != nil {
		return nil, fmt.Errorf("create job: %w", err)
	}
	s.announce(created.Target, first, now)
	return api.CreateJob201JSONResponse{
		Headers: api.CreateJob201ResponseHeaders{Location: "/api/v1/jobs/" + id.String()},
		Body:    encodeJob(jobRow{Job: created, ScheduledFor: &first}),
	}, nil
}

// announce tells who executes runs of a target that something is due.
func (s *server) announce(definition []byte, readyAt, now time.Time) {
	s.Announce(orDefault(target.QueueOf(definition), ""), readyAt, now)
}

// GetJob reads one job.
func (s *server) GetJob(ctx context.Context, r api.GetJobRequestObject) (api.GetJobResponseObject, error) {
	row, err := s.queries.GetJob(ctx, r.Id)
	if errors.Is(err, pgx.ErrNoRows) {
		return api.GetJob404ApplicationProblemPlusJSONResponse{
			NotFoundApplicationProblemPlusJSONResponse: notFound(ctx, "job"),
		}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get job: %w", err)
	}
	return api.GetJob200JSONResponse(encodeJob(row)), nil
}

// ListJobs reads a page of jobs, by number or by cursor.
func (s *server) ListJobs(ctx context.Context, r api.ListJobsRequestObject) (api.ListJobsResponseObject, error) {
	limit, status := orDefault(r.Params.Limit, defaultLimit), (*db.JobStatus)(r.Params.Status)
	page := api.JobPage{Limit: limit}
	rows, wrong, err := s.readJobs(ctx, r.Params, &page)
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	if wrong != nil {
		return api.ListJobs400ApplicationProblemPlusJSONResponse{
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
	return api.ListJobs200JSONResponse(page), nil
}

// readJobs reads the rows of the page that was asked for and one more, which tells that there is a next page.
func (s *server) readJobs(ctx context.Context, p api.ListJobsParams, page *api.JobPage) ([]jobRow, *api.FieldError, error) {
	limit, status := page.Limit, (*db.JobStatus)(p.Status)
	if p.Cursor == nil {
		number := int64(1)
		if p.Page != nil {
			number = *p.Page
		}
		offset := (number - 1) * int64(limit)
		if offset >= maxOffset {
			return nil, &api.FieldError{
				In: api.FieldErrorInQuery, Field: "page", Detail: fmt.Sprintf("reaches the first %d jobs only: go on by cursor", maxOffset),
			}, nil
		}
		page.Page = &number
		rows, err := s.queries.ListJobs(ctx, db.ListJobsParams{Status: status, SkipRows: int32(offset), MaxRows: limit + 1})
		return encodeAll(rows, func(r db.ListJobsRow) jobRow { return jobRow(r) }), nil, err
	}
	if p.Page != nil {
		return nil, &api.FieldError{In: api.FieldErrorInQuery, Field: "page", Detail: "cannot be given together with cursor"}, nil
	}
	after, err := parseCursor(*p.Cursor)
	if err != nil {
		return nil, &api.FieldError{In: api.FieldErrorInQuery, Field: "cursor", Detail: err.Error()}, nil
	}
	rows, err := s.queries.ListJobsAfter(ctx, db.ListJobsAfterParams{
		Status: status, AfterCreatedAt: after.at, AfterID: after.id, MaxRows: limit + 1,
	})
	return encodeAll(rows, func(r db.ListJobsAfterRow) jobRow { return jobRow(r) }), nil, err
}
