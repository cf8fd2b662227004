package app

import (
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/events"
	"punctual/internal/jobs"
)

// due tells a cell what has become due there. Of one that is not open yet, it is found out when it
// is opened.
func (a *App) due(cell, queue string, readyAt time.Time) {
	if c := a.cells.named(cell); c != nil {
		c.due(queue, readyAt)
	}
}

// canceled stops a run, in whichever cell it is.
func (a *App) canceled(run uuid.UUID, reason db.RunReason) {
	for _, c := range a.cells.all() {
		c.poller.Cancel(run, reason)
	}
}

// unheard makes everybody check the database, because notifications may have been missed, and
// followers of events are told so.
func (a *App) unheard() {
	a.accessChanged()
	isAgain := a.hasListened.Swap(true)
	for _, c := range a.cells.all() {
		c.missed()
		if isAgain {
			c.poller.Reconnected()
		}
	}
	a.stream.Missed()
}

// accessChanged makes everybody forget what they know of cells, namespaces, keys and connections,
// and the jobs follow their namespaces.
func (a *App) accessChanged() {
	a.directory.Forget()
	a.known.Forget()
	a.keys.Forget()
	for _, c := range a.cells.all() {
		c.accessChanged()
	}
	a.stream.AccessChanged()
	wake(a.cellsChanged)
}

// due tells the broker that a run of a queue is due at readyAt. If the queue is empty, it tells the
// poller, and so it does if it is that of a connection or a concurrency group. The end of a pause,
// and what events start, are announced in the same way.
func (c *cell) due(queue string, readyAt time.Time) {
	switch queue {
	case "":
		c.poller.Due(readyAt)
	case jobs.PauseEnds:
		wake(c.paused)
		wake(c.replaced)
	case jobs.CalendarsChanged:
		wake(c.replaced)
	case events.ChangedStartsOn:
		c.events.Forget()
	case events.Started:
		wake(c.started)
	default:
		if access.IsLimited(queue) {
			c.poller.DueLimited(queue, readyAt)
			return
		}
		c.broker.Due(queue, readyAt)
	}
}

// missed makes everybody check the database, because notifications may have been lost.
func (c *cell) missed() {
	c.poller.Missed()
	c.broker.Resync()
	c.events.Forget()
	wake(c.paused)
	wake(c.started)
}

// accessChanged makes everybody forget what they know of namespaces and connections, and the jobs
// follow their namespaces.
func (c *cell) accessChanged() {
	c.blackouts.Forget()
	c.connections.Forget()
	wake(c.changed)
}

// eventsStarted makes the runs be started that events start: by this instance, or by others.
func (c *cell) eventsStarted() {
	if c.config.Role == RoleAPI {
		c.announcer.Announce(events.Started, time.Time{})
		return
	}
	wake(c.started)
}

// bringBack makes the jobs come back whose next runs were computed while the database's clock was
// ahead.
func (c *cell) bringBack() {
	c.clockWasSetBack.Store(true)
	wake(c.setBack)
}

// wake makes a pass of a duty begin.
func wake(duty chan<- struct{}) {
	select {
	case duty <- struct{}{}:
	default: // a pass is about to begin already
	}
}
