package api

import (
	"context"
	"net/http"
	"time"

	"punctual/gen/server"
	"punctual/internal/database"
)

// readyTimeout bounds how long a probe waits for the database; less than probes usually wait for an answer.
const readyTimeout = 2 * time.Second

// GetLiveness says that the process answers. It does not ask the database: a restart would not bring that back.
func (s *handlers) GetLiveness(context.Context, server.GetLivenessRequestObject) (server.GetLivenessResponseObject, error) {
	return server.GetLiveness200JSONResponse{HealthyJSONResponse: server.HealthyJSONResponse{Status: server.HealthStatusOK}}, nil
}

// GetReadiness says whether requests can be served.
func (s *handlers) GetReadiness(ctx context.Context, _ server.GetReadinessRequestObject) (server.GetReadinessResponseObject, error) {
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
	return server.GetReadiness200JSONResponse{HealthyJSONResponse: server.HealthyJSONResponse{Status: server.HealthStatusOK}}, nil
}

func notReady(ctx context.Context, why string) server.GetReadinessResponseObject {
	return server.GetReadiness503ApplicationProblemPlusJSONResponse{
		ServiceUnavailableApplicationProblemPlusJSONResponse: server.ServiceUnavailableApplicationProblemPlusJSONResponse(
			problem(ctx, http.StatusServiceUnavailable, why)),
	}
}
