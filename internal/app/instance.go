package app

import (
	"punctual/gen/db"
	"punctual/internal/cells"
	"punctual/internal/instances"
	"punctual/internal/lease"
)

// newInstance returns what tells others that this instance is alive: in each cell, because the
// statements there look at it, under the same id. In the first one it tells of all cells.
func (c *cell) newInstance() (*instances.Registry, error) {
	config := instances.Config{ID: c.app.id, Queries: db.New(c.pools.engine), Logger: c.log, Name: lease.Holder(), Version: Version()}
	if c.config.Role != RolePoller {
		config.Roles, config.Asking = append(config.Roles, "API"), c.broker.Asking
	}
	if c.config.Role != RoleAPI {
		config.Roles = append(config.Roles, "POLLER")
		config.Executing = func() (n int) { // the poller is made later
			if c.name != cells.First {
				return c.poller.Executing()
			}
			for _, each := range c.app.cells.all() {
				n += each.poller.Executing()
			}
			return n
		}
	}
	return instances.New(config)
}
