package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"punctual/gen/db"
	"punctual/internal/clock"
)

// answerWithin is how long the last requests may take at least, even if that exceeds the grace.
const answerWithin = time.Second

// drain ends all work within the grace. It logs what it has to cut off; that is not an error.
func (a *App) drain(claiming *sync.WaitGroup) {
	close(a.stopping)
	grace, cancel := context.WithTimeout(context.Background(), a.config.ShutdownGrace)
	defer cancel()
	noticed := time.After(a.config.ShutdownDelay)

	claiming.Wait()
	if err := a.poller.Drain(grace); err != nil {
		a.log.Warn("runs were cut off and given back", "error", err)
	}
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

// releaseWithin bounds giving up the lease. If the database does not answer, the lease expires by
// itself.
const releaseWithin = 2 * time.Second

// close undoes New in reverse order. It also works after a New that failed half-way.
func (a *App) close() error {
	var errs []error
	if a.socket != nil {
		_ = a.socket.Close() // the server has closed it if it was serving
	}
	a.metricsServer.close()
	if a.stats != nil {
		ctx, cancel := context.WithTimeout(context.Background(), releaseWithin)
		defer cancel()
		errs = append(errs, a.stats.Flush(ctx))
	}
	if a.lease != nil {
		ctx, cancel := context.WithTimeout(context.Background(), releaseWithin)
		defer cancel()
		errs = append(errs, a.giveBack(ctx))
	}
	if a.instance != nil {
		ctx, cancel := context.WithTimeout(context.Background(), releaseWithin)
		defer cancel()
		errs = append(errs, a.instance.Release(ctx))
	}
	a.traces.Close()
	a.pools.close()
	if a.database != nil {
		errs = append(errs, a.database.Close())
	}
	return errors.Join(errs...)
}

// giveBack frees the runs that were claimed and not completed, so that other instances can claim
// them at once, and notifies these.
func (a *App) giveBack(ctx context.Context) error {
	held, err := a.lease.Release(ctx)
	if err != nil || !held {
		return err
	}
	q := db.New(a.pools.engine)
	row, err := q.FreeAbandoned(ctx)
	if err != nil || row.Freed == 0 {
		return err
	}
	return q.NotifyDue(ctx, db.NotifyDueParams{Queues: []string{""}, UnixMicros: []int64{0}}) // long since
}
