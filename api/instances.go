package api

import (
	"context"
	"fmt"

	"punctual/gen/db"
	"punctual/gen/server"
	"punctual/internal/instant"
)

// ListInstances reads which instances are alive.
func (s *handlers) ListInstances(ctx context.Context, _ server.ListInstancesRequestObject) (server.ListInstancesResponseObject, error) {
	rows, err := s.first.ListInstances(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the instances: %w", err)
	}
	return server.ListInstances200JSONResponse{Items: encodeAll(rows, encodeInstance)}, nil
}

// encodeInstance makes the API's instance of the database's.
func encodeInstance(row db.Instance) server.Instance {
	return server.Instance{
		Id: row.ID, Name: row.Name, Version: row.Version, StartedAt: instant.Time{Time: row.StartedAt},
		Roles:     encodeAll(row.Roles, func(role string) server.InstanceRole { return server.InstanceRole(role) }),
		Executing: row.Executing, LeaseExpiresAt: instant.Time{Time: row.ExpiresAt},
	}
}
