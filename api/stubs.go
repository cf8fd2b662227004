package api

import (
	"context"
	"errors"

	"punctual/gen/server"
)

var errUnbuilt = errors.New("unbuilt")

func (s *handlers) ListRuns(context.Context, server.ListRunsRequestObject) (server.ListRunsResponseObject, error) {
	return nil, errUnbuilt
}

func (s *handlers) ChangeRuns(context.Context, server.ChangeRunsRequestObject) (server.ChangeRunsResponseObject, error) {
	return nil, errUnbuilt
}
