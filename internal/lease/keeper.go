// Package lease keeps an instance's right to execute runs.
package lease

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
)

// ErrLost is the cause of a Lease's context when it ran out before it was renewed.
var ErrLost = errors.New("lease lost: not renewed in time")

// Config is what a Keeper needs. Zero means default.
type Config struct {
	Queries *db.Queries
	Logger  *slog.Logger
	// Duration is how long the lease lasts without a renewal: what a dead instance holds stays held that long.
	// Shorter hands over sooner, but a pause of that length, say of the network, costs a live instance its runs.
	// It is renewed three times in this time. Default 9 s.
	Duration time.Duration
}

// Keeper holds one lease at a time and renews it. Safe for concurrent use.
type Keeper struct {
	Config
	mu      sync.Mutex
	current *Lease
}

// Lease is the right to execute what was claimed under ID.
type Lease struct {
	ID uuid.UUID
	// Context ends, with ErrLost as its cause, before the lease runs out in the database: whoever executes under the
	// lease stops before anybody else can start.
	Context context.Context

	lose    context.CancelCauseFunc
	runsOut *time.Timer
	until   atomic.Int64 // when runsOut fires, in nanoseconds since began
	began   time.Time
}

// Held tells whether the lease may still be used. It looks at the time, not at the timer: a process that was stopped for
// a while finds all its timers overdue, and this one's turn may come late.
func (l *Lease) Held() bool {
	return l.Context.Err() == nil && time.Since(l.began) < time.Duration(l.until.Load())
}

// extend lets the lease last for d from now on.
func (l *Lease) extend(d time.Duration) {
	l.until.Store(int64(time.Since(l.began) + d))
	l.runsOut.Reset(d)
}

// NewKeeper returns a Keeper that holds nothing yet.
func NewKeeper(c Config) *Keeper {
	c.Logger = cmp.Or(c.Logger, slog.Default())
	c.Duration = cmp.Or(c.Duration, 9*time.Second)
	return &Keeper{Config: c}
}

// Hold returns the lease that is held, and takes a new one where there is none or it was lost.
func (k *Keeper) Hold(ctx context.Context) (*Lease, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current != nil && k.current.Held() {
		return k.current, nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make a lease id: %w", err)
	}
	asked := time.Now()
	if err := k.Queries.CreateLease(ctx, db.CreateLeaseParams{ID: id, Holder: holder(), Duration: k.Duration}); err != nil {
		return nil, fmt.Errorf("take a lease: %w", err)
	}
	l := &Lease{ID: id, began: asked}
	l.Context, l.lose = context.WithCancelCause(context.Background())
	l.runsOut = time.AfterFunc(k.Duration, func() { l.lose(ErrLost) })
	l.extend(k.usableFor(asked))
	k.current = l
	return l, nil
}

// Run renews the lease that is held until ctx ends. A renewal that fails is tried again soon: until the lease has run out
// nothing is lost.
func (k *Keeper) Run(ctx context.Context) {
	timer := time.NewTimer(k.Duration / 3)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		next := k.Duration / 3
		if err := k.Renew(ctx); err != nil && ctx.Err() == nil {
			k.Logger.WarnContext(ctx, "lease not renewed", "error", err)
			next = k.Duration / 20
		}
		timer.Reset(next)
	}
}

// Renew makes the lease last its full duration from now on. With nothing held there is nothing to do.
func (k *Keeper) Renew(ctx context.Context) error {
	k.mu.Lock()
	l := k.current
	k.mu.Unlock()
	if l == nil || !l.Held() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, k.Duration/3)
	defer cancel()
	asked := time.Now()
	renewed, err := k.Queries.RenewLease(ctx, db.RenewLeaseParams{ID: l.ID, Duration: k.Duration})
	if err != nil {
		return fmt.Errorf("renew the lease: %w", err)
	}
	if renewed == 0 {
		l.lose(ErrLost)
		return ErrLost
	}
	// Where the timer has fired already it has ended the context for good: what was renewed then is never used.
	l.extend(k.usableFor(asked))
	return nil
}

// Release gives the lease up, if one is held, and returns whether there was one; what is still claimed under it
// becomes anybody's. Call it when nothing executes.
func (k *Keeper) Release(ctx context.Context) (held bool, err error) {
	k.mu.Lock()
	l := k.current
	k.current = nil
	k.mu.Unlock()
	if l == nil {
		return false, nil
	}
	l.runsOut.Stop()
	l.lose(context.Canceled)
	if err := k.Queries.DeleteLease(ctx, l.ID); err != nil {
		return true, fmt.Errorf("give the lease up: %w", err)
	}
	return true, nil
}

// usableFor returns for how long a lease that was asked for at asked may be used from now on. The database counts its
// duration from later than asked, so this runs out first, and by a tenth earlier, for executors to stop in.
func (k *Keeper) usableFor(asked time.Time) time.Duration {
	return k.Duration - k.Duration/10 - time.Since(asked)
}

// holder names this instance for people who read the table.
func holder() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s/%d", host, os.Getpid())
}
