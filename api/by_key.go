package api

import (
	"context"
	"fmt"

	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/jobs"
)

// GetJobByKey reads the job that has a key.
func (s *handlers) GetJobByKey(ctx context.Context, r server.GetJobByKeyRequestObject) (server.GetJobByKeyResponseObject, error) {
	job, err := s.Jobs.GetByKey(ctx, access.From(ctx), r.Key)
	if err != nil {
		return nil, fmt.Errorf("get a job by its key: %w", err)
	}
	return server.GetJobByKey200JSONResponse{
		Headers: server.GetJobByKey200ResponseHeaders{ETag: etag(job.Job.Version)}, Body: encodeJob(job),
	}, nil
}

// PutJobByKey creates the job that has a key, or replaces its definition.
func (s *handlers) PutJobByKey(ctx context.Context, r server.PutJobByKeyRequestObject) (server.PutJobByKeyResponseObject, error) {
	when := jobs.Condition{
		IsNew: r.Params.IfNoneMatch != nil, Exists: r.Params.IfMatch != nil, Versions: versionsIn(r.Params.IfMatch),
	}
	job, isNew, err := s.Jobs.Put(ctx, access.From(ctx), r.Key, *r.Body, when)
	if err != nil {
		return nil, fmt.Errorf("put a job: %w", err)
	}
	if isNew {
		return server.PutJobByKey201JSONResponse{
			Headers: server.PutJobByKey201ResponseHeaders{Location: jobPath(job), ETag: etag(job.Job.Version)},
			Body:    encodeJob(job),
		}, nil
	}
	return server.PutJobByKey200JSONResponse{
		Headers: server.PutJobByKey200ResponseHeaders{ETag: etag(job.Job.Version)}, Body: encodeJob(job),
	}, nil
}

// DeleteJobByKey hides the job that has a key, and ends its schedule.
func (s *handlers) DeleteJobByKey(ctx context.Context, r server.DeleteJobByKeyRequestObject) (server.DeleteJobByKeyResponseObject, error) {
	if err := s.Jobs.DeleteByKey(ctx, access.From(ctx), r.Key, versionsIn(r.Params.IfMatch)...); err != nil {
		return nil, fmt.Errorf("delete a job by its key: %w", err)
	}
	return server.DeleteJobByKey204Response{}, nil
}
