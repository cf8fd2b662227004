package keys

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"punctual/gen/db"
)

const (
	// useCoarseness is the shortest time between two notes of the use of one key: so many minutes
	// may lie between its last use and what is shown of that.
	useCoarseness = 5 * time.Minute
	// storeUsesEvery is how long notes are collected, off the path of the requests.
	storeUsesEvery = 10 * time.Second
	// storeUsesWithin bounds storing them.
	storeUsesWithin = 2 * time.Second
)

// uses are the uses of keys that are to be stored, by the ids of the keys.
type uses struct {
	mu    sync.Mutex
	noted map[string]time.Time
}

// noteUse notes that a key is used, unless that was noted less than useCoarseness ago, by whichever
// instance.
func (v *Verifier) noteUse(e *entry) {
	if e.isUseNoted.Load() {
		return
	}
	now := e.now()
	if last := e.key.LastUsedAt; last != nil && now.Sub(*last) < useCoarseness {
		return
	}
	if e.isUseNoted.CompareAndSwap(false, true) {
		v.uses.add(map[string]time.Time{e.key.ID: now})
	}
}

// add adds uses, unless a use of the same key is there already.
func (u *uses) add(uses map[string]time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.noted == nil {
		u.noted = map[string]time.Time{}
	}
	for id, at := range uses {
		if _, ok := u.noted[id]; !ok {
			u.noted[id] = at
		}
	}
}

// take returns the uses, and forgets them.
func (u *uses) take() (noted map[string]time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	noted, u.noted = u.noted, nil
	return noted
}

// Run stores the uses of keys until ctx ends, and then those that are left. A pass that fails is
// logged and tried again: a use that is shown late harms nobody.
func (v *Verifier) Run(ctx context.Context, log *slog.Logger) {
	ticker := time.NewTicker(storeUsesEvery)
	defer ticker.Stop()
	for stopping := false; !stopping; {
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
		stopping = ctx.Err() != nil
		if err := v.StoreUses(context.WithoutCancel(ctx)); err != nil {
			log.WarnContext(ctx, "could not store when keys were used; they show an older lastUsedAt until this succeeds", "error", err)
		}
	}
}

// StoreUses stores the uses of keys that were noted until now.
func (v *Verifier) StoreUses(ctx context.Context) error {
	noted := v.uses.take()
	if len(noted) == 0 {
		return nil
	}
	params := db.NoteKeysUsedParams{Coarseness: useCoarseness}
	for id, at := range noted {
		params.Ids = append(params.Ids, id)
		params.UsedAts = append(params.UsedAts, at)
	}
	ctx, cancel := context.WithTimeout(ctx, storeUsesWithin)
	defer cancel()
	if err := v.queries.NoteKeysUsed(ctx, params); err != nil {
		v.uses.add(noted)
		return fmt.Errorf("note when keys were used: %w", err)
	}
	return nil
}
