package poller

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// floorSlack is how far the floor stays behind the clock: for rows that are due at once and commit a moment later.
	floorSlack = time.Second
	// lookBackEvery is how often is looked for what lies below the floor all the same: what was committed late, or was
	// locked by a claim that failed. It bounds the lateness of what nobody told this instance of.
	lookBackEvery = 5 * time.Second
	// lookBackShare bounds the time spent on looking, where that is slow, to one part in so many.
	lookBackShare = 20
)

// floor is the instant from which on claims read: below it everything was claimed, as far as this instance knows. Claims
// leave dead index entries and long runs leave live ones, and each claim would read all of them again. The zero floor is
// below everything.
type floor struct {
	mu    sync.Mutex
	at    time.Time
	heard *time.Time // the earliest that has become due since the claim under way began, which may not have seen it
	blind bool       // a claim has not looked below it since somebody last did
}

// get returns the floor for a claim.
func (f *floor) get() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blind, f.heard = !f.at.IsZero(), nil
	return f.at
}

// raise is told that the claim which got the floor has left nothing before an instant.
func (f *floor) raise(to time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.heard != nil && f.heard.Before(to) {
		to = *f.heard
	}
	if to.After(f.at) {
		f.at = to
	}
}

// lower makes claims find what is due at t. The zero instant makes them look at everything once.
func (f *floor) lower(t time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.heard == nil || t.Before(*f.heard) {
		f.heard = &t
	}
	if t.Before(f.at) {
		f.at = t
	}
}

// below returns the floor if nobody has looked below it for a while.
func (f *floor) below() (at time.Time, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ok, f.blind = f.blind, false
	return f.at, ok
}

// keepLookingBack looks below the floor again and again until ctx ends. Beside the claims, not in one of them: where there
// is much to step over, those that are on time need not wait for it.
func (p *Poller) keepLookingBack(ctx context.Context) {
	for every := lookBackEvery; ; {
		sleep(ctx, every)
		if ctx.Err() != nil {
			return
		}
		began := time.Now()
		if err := p.lookBack(ctx); err != nil && ctx.Err() == nil {
			p.Logger.ErrorContext(ctx, "looking for what was passed over failed", "error", err)
		}
		every = max(lookBackEvery, lookBackShare*time.Since(began))
	}
}

// lookBack lowers the floor to what is due below it, if anything is.
func (p *Poller) lookBack(ctx context.Context) error {
	before, ok := p.floor.below()
	if !ok {
		return nil
	}
	oldest, err := p.queries.OldestReady(ctx, before)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err == nil {
		p.Due(oldest)
	}
	return err
}
