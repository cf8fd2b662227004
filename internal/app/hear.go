package app

import (
	"time"

	"punctual/internal/access"
	"punctual/internal/events"
	"punctual/internal/jobs"
)

// due tells the broker that a run of a queue is due at readyAt. If the queue is empty, it tells the
// poller, and so it does if it is that of a connection or a concurrency group. The end of a pause,
// and what events start, are announced in the same way.
func (a *App) due(queue string, readyAt time.Time) {
	switch queue {
	case "":
		a.poller.Due(readyAt)
	case jobs.PauseEnds:
		wake(a.paused)
		wake(a.replaced)
	case jobs.CalendarsChanged:
		wake(a.replaced)
	case events.ChangedStartsOn:
		a.events.Forget()
	case events.Started:
		wake(a.started)
	default:
		if access.IsLimited(queue) {
			a.poller.DueLimited(queue, readyAt)
			return
		}
		a.broker.Due(queue, readyAt)
	}
}

// missed makes everybody check the database, because notifications may have been lost.
func (a *App) missed() {
	a.poller.Missed()
	a.broker.Resync()
	a.accessChanged()
	a.events.Forget()
	wake(a.paused)
	wake(a.started)
}

// eventsStarted makes the runs be started that events start: by this instance, or by others.
func (a *App) eventsStarted() {
	if a.config.Role == RoleAPI {
		a.announcer.Announce(events.Started, time.Time{})
		return
	}
	wake(a.started)
}

// unheard makes everybody check the database, because notifications may have been missed, and
// followers of events are told so.
func (a *App) unheard() {
	a.missed()
	a.stream.Missed()
}

// accessChanged makes everybody forget what they know of namespaces, keys and connections, and the
// jobs follow their namespaces.
func (a *App) accessChanged() {
	a.known.Forget()
	a.blackouts.Forget()
	a.connections.Forget()
	a.keys.Forget()
	a.stream.AccessChanged()
	wake(a.changed)
}

// bringBack makes the jobs come back whose next runs were computed while the database's clock was
// ahead.
func (a *App) bringBack() {
	a.clockWasSetBack.Store(true)
	wake(a.setBack)
}

// wake makes a pass of a duty begin.
func wake(duty chan<- struct{}) {
	select {
	case duty <- struct{}{}:
	default: // a pass is about to begin already
	}
}
