package poller

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"punctual/internal/clock"
	"punctual/internal/logging"
)

const (
	// watermarkSlack is how far the watermark stays behind the clock, for rows that are due at once
	// and commit a moment later.
	watermarkSlack = time.Second
	// lookBackDelay is the time between two searches for rows below the watermark: rows that were
	// committed late, or were locked by a claim that failed. It bounds how late a row is claimed of
	// which nobody told this instance.
	lookBackDelay = 5 * time.Second
	// lookBackShare bounds the share of the time that a slow search takes, to one part in this
	// many.
	lookBackShare = 20
)

// watermark is the instant from which on claims read: as far as this instance knows, nothing before
// it can be claimed. Claims leave dead index entries and long runs leave live ones, and each claim
// would read all of them again. The zero watermark is below everything.
type watermark struct {
	mu sync.Mutex
	at time.Time
	// lateArrival is the earliest instant that has become due since the claim in progress began,
	// which may not have seen it.
	lateArrival *time.Time
	isUnchecked bool // a claim has read from the watermark on since the last search below it
}

// get returns the watermark for a claim.
func (w *watermark) get() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isUnchecked, w.lateArrival = !w.at.IsZero(), nil
	return w.at
}

// raise raises the watermark after the claim that got it, which has left nothing before an instant.
func (w *watermark) raise(to time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lateArrival != nil && w.lateArrival.Before(to) {
		to = *w.lateArrival
	}
	if to.After(w.at) {
		w.at = to
	}
}

// lower makes claims find what is due at t. The zero instant makes them read everything once.
func (w *watermark) lower(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lateArrival == nil || t.Before(*w.lateArrival) {
		w.lateArrival = &t
	}
	if t.Before(w.at) {
		w.at = t
	}
}

// unchecked returns the watermark, and whether a search below it is due.
func (w *watermark) unchecked() (at time.Time, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ok, w.isUnchecked = w.isUnchecked, false
	return w.at, ok
}

// keepLookingBack searches below the watermark until ctx ends. It runs apart from the claims,
// so if it is slow, runs that are on time do not wait for it.
func (p *Poller) keepLookingBack(ctx context.Context) {
	outage := logging.Outage{
		Logger: p.Logger, Failing: "could not search for rows below the watermark; such rows stay late until the next search",
		Working: "rows below the watermark are found again",
	}
	for every := lookBackDelay; ; {
		clock.Sleep(ctx, every)
		if ctx.Err() != nil {
			return
		}
		began := time.Now()
		switch err := p.lookBack(ctx); {
		case ctx.Err() != nil:
		case err != nil:
			outage.Failed(ctx, err)
		default:
			outage.Worked(ctx)
		}
		every = max(lookBackDelay, lookBackShare*time.Since(began))
	}
}

// lookBack lowers the watermark to the oldest row below it that can be claimed, if there is one.
func (p *Poller) lookBack(ctx context.Context) error {
	before, ok := p.watermark.unchecked()
	if !ok {
		return nil
	}
	oldest, err := p.queries.OldestReady(ctx, before)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("read the oldest row: %w", err)
	}
	p.Due(oldest)
	return nil
}
