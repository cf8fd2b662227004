package app

import (
	"punctual/gen/db"
	"punctual/internal/instances"
	"punctual/internal/lease"
)

// newInstance returns what tells others that this instance is alive.
func (a *App) newInstance() (*instances.Registry, error) {
	c := instances.Config{Queries: db.New(a.pools.access), Logger: a.log, Name: lease.Holder(), Version: Version()}
	if a.config.Role != RolePoller {
		c.Roles, c.Asking = append(c.Roles, "API"), a.broker.Asking
	}
	if a.config.Role != RoleAPI {
		c.Roles, c.Executing = append(c.Roles, "POLLER"), func() int { return a.poller.Executing() } // it is made later
	}
	return instances.New(c)
}
