package app

import (
	"context"

	"punctual/gen/db"
	"punctual/internal/instances"
	"punctual/internal/lease"
)

// register writes down that this instance is alive, before it does anything as one.
func (a *App) register(ctx context.Context) (*instances.Registry, error) {
	c := instances.Config{Queries: db.New(a.pools.access), Logger: a.log, Name: lease.Holder(), Version: Version()}
	if a.config.Role != RolePoller {
		c.Roles, c.Asking = append(c.Roles, "API"), a.broker.Asking
	}
	if a.config.Role != RoleAPI {
		c.Roles, c.Executing = append(c.Roles, "POLLER"), a.poller.Executing
	}
	registry, err := instances.New(c)
	if err != nil {
		return nil, err
	}
	return registry, registry.Renew(ctx)
}
