package api

import (
	"context"
	"time"

	"punctual/gen/server"
	"punctual/internal/database"
)

// readyTimeout bounds the check of the database. It is shorter than most probes' own timeouts.
const readyTimeout = 2 * time.Second

var healthy = server.HealthyJSONResponse{Status: server.HealthStatusOK}

// GetLiveness says that the process answers. It does not check the database, since restarting the
// process would not bring the database back.
func (s *handlers) GetLiveness(
	context.Context, server.GetLivenessRequestObject,
) (server.GetLivenessResponseObject, error) {
	return server.GetLiveness200JSONResponse{HealthyJSONResponse: healthy}, nil
}

// GetReadiness says whether requests can be served.
func (s *handlers) GetReadiness(
	ctx context.Context, _ server.GetReadinessRequestObject,
) (server.GetReadinessResponseObject, error) {
	select {
	case <-s.Stopping:
		return notReady(ctx, "The instance is stopping."), nil
	default:
	}
	checked, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := s.Check(checked); err != nil {
		s.Logger.WarnContext(ctx, "not ready to serve requests", "error", err)
		return notReady(ctx, whyNotReady(err)), nil
	}
	return server.GetReadiness200JSONResponse{HealthyJSONResponse: healthy}, nil
}

// whyNotReady explains an error of the check to people.
func whyNotReady(err error) string {
	switch database.Diagnose(err) {
	case database.Unavailable:
		return "The database cannot be reached."
	case database.Overloaded:
		return "The database did not answer in time, or its tables are locked."
	case database.ReadOnly:
		return "The database is read-only."
	default:
		return "The database cannot be used, or its schema is not the one of this version."
	}
}

func notReady(ctx context.Context, why string) server.GetReadinessResponseObject {
	return server.GetReadiness503ApplicationProblemPlusJSONResponse{
		ServiceUnavailableApplicationProblemPlusJSONResponse: server.ServiceUnavailableApplicationProblemPlusJSONResponse(
			problem(ctx, codeNotReady, why)),
	}
}
