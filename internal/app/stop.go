package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"punctual/internal/clock"
)

// answerWithin is how long the last requests may take at least, even if that exceeds the grace.
const answerWithin = time.Second

// drain ends all work within the grace. It logs what it has to cut off; that is not an error.
func (a *App) drain(claimers *sync.WaitGroup) {
	close(a.stopping)
	grace, cancel := context.WithTimeout(context.Background(), a.config.ShutdownGrace)
	defer cancel()
	noticed := time.After(a.config.ShutdownDelay)

	claimers.Wait()
	var draining sync.WaitGroup
	for _, c := range a.cells.all() {
		draining.Go(func() {
			if err := c.poller.Drain(grace); err != nil {
				c.log.Warn("runs were cut off and given back", "error", err)
			}
		})
	}
	draining.Wait()
	select {
	case <-noticed:
	case <-grace.Done():
	}
	// Requests were accepted until now, even if runs have used up the grace.
	until, _ := grace.Deadline()
	answering, stop := context.WithDeadline(context.Background(), clock.Later(until, time.Now().Add(answerWithin)))
	defer stop()
	if err := a.server.Shutdown(answering); err != nil {
		a.log.Warn("requests were cut off", "error", err)
		_ = a.server.Close() // there is nothing left to be done about an error
	}
}

// releaseWithin bounds giving up the lease in a cell. If the database does not answer, the lease
// expires by itself.
const releaseWithin = 2 * time.Second

// close undoes New in reverse order. It also works after a New that failed half-way.
func (a *App) close() error {
	var errs []error
	if a.socket != nil {
		_ = a.socket.Close() // the server has closed it if it was serving
	}
	a.metricsServer.close()
	var closing errgroup.Group
	for _, c := range a.cells.all() {
		closing.Go(c.close)
	}
	errs = append(errs, closing.Wait())
	a.firstPools.close() // if they are not those of a cell yet
	a.traces.Close()
	a.pools.close()
	if a.database != nil {
		errs = append(errs, a.database.Close())
	}
	return errors.Join(errs...)
}
