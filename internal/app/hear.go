package app

import "time"

// due tells the broker that a run of a queue is due at readyAt. If the queue is empty, it tells the
// poller.
func (a *App) due(queue string, readyAt time.Time) {
	if queue == "" {
		a.poller.Due(readyAt)
		return
	}
	a.broker.Due(queue, readyAt)
}

// missed makes everybody check the database, because notifications may have been lost.
func (a *App) missed() {
	a.poller.Due(time.Time{})
	a.broker.Resync()
	a.accessChanged()
}

// accessChanged makes everybody forget what they know of namespaces and keys, and the jobs follow
// their namespaces.
func (a *App) accessChanged() {
	a.known.Forget()
	a.keys.Forget()
	select {
	case a.changed <- struct{}{}:
	default: // a pass is about to begin already
	}
}
