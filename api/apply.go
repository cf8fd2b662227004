package api

import (
	"context"
	"fmt"

	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/jobs"
	"punctual/internal/labels"
)

// ApplyJobs makes jobs be as a list of definitions says.
func (s *handlers) ApplyJobs(ctx context.Context, r server.ApplyJobsRequestObject) (server.ApplyJobsResponseObject, error) {
	list := jobs.Apply{Definitions: r.Body.Definitions, IsDryRun: orDefault(r.Body.DryRun, false)}
	if r.Body.Prune != nil {
		selector, err := labels.ParseSelector(*r.Body.Prune)
		if err != nil {
			return nil, &jobs.Invalid{Fields: []jobs.Field{{Name: "prune", Code: jobs.WrongFormat, Detail: err.Error()}}}
		}
		list.Prune = &selector
	}
	all, err := s.Jobs.Apply(ctx, access.From(ctx), list)
	if err != nil {
		return nil, fmt.Errorf("apply definitions: %w", err)
	}
	out := server.ApplyJobs200JSONResponse{DryRun: list.IsDryRun}
	if out.Items, err = encodeEach(all, encodeApplied(list.IsDryRun)); err != nil {
		return nil, err
	}
	for _, item := range out.Items {
		switch item.Result {
		case server.AppliedJobResultCREATED:
			out.Created++
		case server.AppliedJobResultCHANGED:
			out.Changed++
		case server.AppliedJobResultUNCHANGED:
			out.Unchanged++
		case server.AppliedJobResultPRUNED:
			out.Pruned++
		}
	}
	return out, nil
}

// encodeApplied makes the API's form of what became of a job. A job that would be created has no
// id.
func encodeApplied(isDryRun bool) func(jobs.Applied) (server.AppliedJob, error) {
	return func(did jobs.Applied) (out server.AppliedJob, err error) {
		out = server.AppliedJob{
			Key: *did.Job.Key, Id: &did.Job.ID, Result: server.AppliedJobResult(did.Outcome), Fields: []server.FieldChange{},
		}
		switch {
		case did.Outcome == jobs.Changed:
			out.Fields, err = changesBetween(jobs.View{Job: *did.Before}, jobs.View{Job: *did.Job})
		case did.Outcome == jobs.Created && isDryRun:
			out.Id = nil
		}
		return out, err
	}
}

// CreateJobs stores many jobs and their first occurrences.
func (s *handlers) CreateJobs(ctx context.Context, r server.CreateJobsRequestObject) (server.CreateJobsResponseObject, error) {
	all, err := s.Jobs.CreateAll(ctx, access.From(ctx), r.Body.Jobs)
	if err != nil {
		return nil, fmt.Errorf("create jobs: %w", err)
	}
	return server.CreateJobs201JSONResponse{Items: encodeAll(all, func(job jobs.View) server.CreatedJob {
		return server.CreatedJob{Id: job.Job.ID, Key: job.Job.Key, NextRunAt: encodeInstant(job.NextRunAt)}
	})}, nil
}
