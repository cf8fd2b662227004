package api

import (
	"context"
	"errors"

	"punctual/gen/server"
)

var errUnbuilt = errors.New("unbuilt")

func (s *handlers) GetJobByKey(context.Context, server.GetJobByKeyRequestObject) (server.GetJobByKeyResponseObject, error) {
	return nil, errUnbuilt
}

func (s *handlers) PutJobByKey(context.Context, server.PutJobByKeyRequestObject) (server.PutJobByKeyResponseObject, error) {
	return nil, errUnbuilt
}

func (s *handlers) DeleteJobByKey(context.Context, server.DeleteJobByKeyRequestObject) (server.DeleteJobByKeyResponseObject, error) {
	return nil, errUnbuilt
}

func (s *handlers) ApplyJobs(context.Context, server.ApplyJobsRequestObject) (server.ApplyJobsResponseObject, error) {
	return nil, errUnbuilt
}

func (s *handlers) CreateJobs(context.Context, server.CreateJobsRequestObject) (server.CreateJobsResponseObject, error) {
	return nil, errUnbuilt
}

func (s *handlers) ListRuns(context.Context, server.ListRunsRequestObject) (server.ListRunsResponseObject, error) {
	return nil, errUnbuilt
}

func (s *handlers) ChangeRuns(context.Context, server.ChangeRunsRequestObject) (server.ChangeRunsResponseObject, error) {
	return nil, errUnbuilt
}
