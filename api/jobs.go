package api

import (
	"cmp"
	"context"
	"fmt"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/jobs"
)

// CreateJob stores a job and its first occurrence.
func (s *handlers) CreateJob(ctx context.Context, r server.CreateJobRequestObject) (server.CreateJobResponseObject, error) {
	job, err := s.Jobs.Create(ctx, access.From(ctx), *r.Body)
	if err != nil {
		return nil, fmt.Errorf("create a job: %w", err)
	}
	return jobCreated(job), nil
}

func jobCreated(job jobs.View) server.CreateJob201JSONResponse {
	return server.CreateJob201JSONResponse{
		Headers: server.CreateJob201ResponseHeaders{
			Location: jobPath(job), ETag: etag(job.Job.Version),
		},
		Body: encodeJob(job),
	}
}

// GetJob reads one job.
func (s *handlers) GetJob(ctx context.Context, r server.GetJobRequestObject) (server.GetJobResponseObject, error) {
	job, err := s.Jobs.Get(ctx, access.From(ctx), r.Id)
	if err != nil {
		return nil, fmt.Errorf("get a job: %w", err)
	}
	return server.GetJob200JSONResponse{
		Headers: server.GetJob200ResponseHeaders{ETag: etag(job.Job.Version)}, Body: encodeJob(job),
	}, nil
}

// UpdateJob changes what the request names.
func (s *handlers) UpdateJob(ctx context.Context, r server.UpdateJobRequestObject) (server.UpdateJobResponseObject, error) {
	job, err := s.Jobs.Update(ctx, access.From(ctx), r.Id, *r.Body, versionsIn(r.Params.IfMatch)...)
	if err != nil {
		return nil, fmt.Errorf("update a job: %w", err)
	}
	return server.UpdateJob200JSONResponse{
		Headers: server.UpdateJob200ResponseHeaders{ETag: etag(job.Job.Version)}, Body: encodeJob(job),
	}, nil
}

// DeleteJob hides a job and ends its schedule.
func (s *handlers) DeleteJob(ctx context.Context, r server.DeleteJobRequestObject) (server.DeleteJobResponseObject, error) {
	if err := s.Jobs.Delete(ctx, access.From(ctx), r.Id, versionsIn(r.Params.IfMatch)...); err != nil {
		return nil, fmt.Errorf("delete a job: %w", err)
	}
	return server.DeleteJob204Response{}, nil
}

// BackfillJob runs the occurrences of a window that have no run.
func (s *handlers) BackfillJob(ctx context.Context, r server.BackfillJobRequestObject) (server.BackfillJobResponseObject, error) {
	by, from, to := access.From(ctx), r.Body.From.Time, r.Body.To.Time
	if orDefault(r.Body.DryRun, false) {
		plan, err := s.Jobs.PlanBackfill(ctx, by, r.Id, from, to)
		if err != nil {
			return nil, fmt.Errorf("count what a backfill would start: %w", err)
		}
		return server.BackfillJob200JSONResponse{Runs: int32(plan.Runs), Occurrences: int32(plan.Occurrences), DryRun: true}, nil
	}
	done, err := s.Jobs.Backfill(ctx, by, r.Id, from, to)
	if err != nil {
		return nil, fmt.Errorf("backfill a job: %w", err)
	}
	return server.BackfillJob202JSONResponse{Runs: int32(done.Runs), Occurrences: int32(done.Occurrences)}, nil
}

// RunJob starts a run by hand.
func (s *handlers) RunJob(ctx context.Context, r server.RunJobRequestObject) (server.RunJobResponseObject, error) {
	what := jobs.RunStart{OverlapPolicy: (*db.OverlapPolicy)(r.Params.OverlapPolicy)}
	if r.Body != nil {
		if r.Body.OverlapPolicy != nil && what.OverlapPolicy != nil {
			return nil, invalidQuery("overlapPolicy", jobs.Conflicting, "must not be given together with the field of the body")
		}
		what.OverlapPolicy = cmp.Or(what.OverlapPolicy, (*db.OverlapPolicy)(r.Body.OverlapPolicy))
		what.Payload, what.At = r.Body.Payload, decodeInstant(r.Body.StartAt)
	}
	run, err := s.encodeFound(s.Jobs.StartRun(ctx, access.From(ctx), r.Id, what))
	if err != nil {
		return nil, fmt.Errorf("run a job: %w", err)
	}
	linkRun(ctx, run.Id)
	return runStarted(run), nil
}

func runStarted(run server.Run) server.RunJob202JSONResponse {
	return server.RunJob202JSONResponse{Headers: server.RunJob202ResponseHeaders{Location: runPath(run.Id)}, Body: run}
}

func jobPath(job jobs.View) string { return "/api/v1/jobs/" + job.Job.ID.String() }

func runPath(id uuid.UUID) string { return "/api/v1/runs/" + id.String() }
