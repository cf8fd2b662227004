package api

import (
	"context"
	"net/http"
	"time"

	"punctual/gen/api"
	"punctual/internal/database"
)

// readyTimeout bounds how long a probe waits for the database; less than probes usually wait for an answer.
const readyTimeout = 2 * time.Second

// GetLiveness says that the process answers. It does not ask the database: a restart would not bring that back.
func (s *server) GetLiveness(context.Context, api.GetLivenessRequestObject) (api.GetLivenessResponseObject, error) {
	return api.GetLiveness200JSONResponse{HealthyJSONResponse: api.HealthyJSONResponse{Status: api.HealthStatusOK}}, nil
}

// GetReadiness says whether requests can be served.
func (s *server) GetReadiness(ctx context.Context, _ api.GetReadinessRequestObject) (api.GetReadinessResponseObject, error) {
	select {
	case <-s.Stopping:
		return notReady(ctx, "The instance is stopping."), nil
	default:
	}
	checked, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := database.CheckVersion(checked, s.queries); err != nil {
		s.Logger.WarnContext(ctx, "not ready", "error", err)
		return notReady(ctx, "The database cannot be reached, or its schema is not the one of this version."), nil
	}
	return api.GetReadiness200JSONResponse{HealthyJSONResponse: api.HealthyJSONResponse{Status: api.HealthStatusOK}}, nil
}

func notReady(ctx context.Context, why string) api.GetReadinessResponseObject {
	return api.GetReadiness503ApplicationProblemPlusJSONResponse{
		ServiceUnavailableApplicationProblemPlusJSONResponse: api.ServiceUnavailableApplicationProblemPlusJSONResponse(
			problem(ctx, http.StatusServiceUnavailable, why)),
	}
}
