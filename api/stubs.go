package api

import (
	"context"
	"errors"

	"punctual/gen/server"
)

var errUnbuilt = errors.New("unbuilt")

func (s *handlers) ChangeRuns(context.Context, server.ChangeRunsRequestObject) (server.ChangeRunsResponseObject, error) {
	return nil, errUnbuilt
}
