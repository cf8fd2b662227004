package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"punctual/api"
	"punctual/internal/access"
	"punctual/internal/cells"
)

// openCells are the cells for which an instance works, the first one before the others. Safe for
// concurrent use.
type openCells struct {
	mu   sync.RWMutex
	open []*cell
}

func (o *openCells) add(c *cell) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open = append(slices.Clone(o.open), c)
}

// all returns the cells. They must not be changed.
func (o *openCells) all() []*cell {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.open
}

// named returns a cell by its name, or nil if it is not open.
func (o *openCells) named(name string) *cell {
	for _, c := range o.all() {
		if c.name == name {
			return c
		}
	}
	return nil
}

// served returns what serves requests of a cell besides the first one, or of all of them if the
// name is empty.
func (o *openCells) served(name string) (all []*api.Cell) {
	for _, c := range o.all() {
		if c.name != cells.First && (name == "" || c.name == name) {
			all = append(all, &c.served)
		}
	}
	return all
}

// openNew opens the cells that are not open yet, and returns them. One that cannot be opened keeps
// no other from it.
func (a *App) openNew(ctx context.Context) (opened []*cell, err error) {
	names, err := a.directory.All(ctx)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, name := range names {
		if a.cells.named(name) != nil {
			continue
		}
		c, err := a.open(ctx, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("open the cell %q: %w", name, err))
			continue
		}
		a.cells.add(c)
		opened = append(opened, c)
	}
	return opened, errors.Join(errs...)
}

// open opens a cell. It brings the schema to the version of this binary; that of the first one is
// there already.
func (a *App) open(ctx context.Context, name string) (*cell, error) {
	if name != cells.First {
		if err := cells.Migrate(ctx, a.database.Direct, name, a.log); err != nil {
			return nil, err
		}
	}
	return a.openCell(ctx, name)
}

// openAdded opens cells that were added since the instance has started, and begins to work for
// them.
func (a *App) openAdded(t *times) func(context.Context) (int64, error) {
	return func(ctx context.Context) (int64, error) {
		opened, err := a.openNew(ctx)
		for _, c := range opened {
			c.start(t)
			a.log.InfoContext(ctx, "the instance works for another cell", "cell", c.name)
		}
		return int64(len(opened)), errors.Join(err, a.sendMovedAway(ctx))
	}
}

// sendMovedAway sends workers away that wait for runs of a namespace in a cell in which it is not
// any more. They ask again, and wait in the other cell.
func (a *App) sendMovedAway(ctx context.Context) error {
	all := a.cells.all()
	if len(all) == 1 {
		return nil
	}
	for _, c := range all {
		for queue := range c.broker.Asking() {
			namespace, _ := access.Split(queue)
			is, err := a.directory.Of(ctx, namespace)
			if err != nil {
				return err
			}
			if is != c.name {
				c.broker.SendAway(queue)
			}
		}
	}
	return nil
}
