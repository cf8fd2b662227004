// Package lease keeps an instance's right to execute runs: its row in leases, and the renewals.
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
	"punctual/internal/instances"
	"punctual/internal/logging"
)

// ErrLost is the cause of a Lease's context when the lease ran out before it was renewed.
var ErrLost = errors.New("lease lost: not renewed in time")

// Config is what a Keeper needs. Zero means default.
type Config struct {
	Queries *db.Queries
	Logger  *slog.Logger
	// Instance is written with each renewal of the lease, which saves a statement. Default: it is
	// not.
	Instance *instances.Registry
	// Duration is how long the lease lasts without a renewal, and so how long the runs of a dead
	// instance wait for another one. With a shorter duration they wait less, but a pause of that
	// length, for example of the network, costs a live instance its runs. The lease is renewed
	// three times in this time. Default 9 s.
	Duration time.Duration
	// Renewed is called after each try to renew the lease. Default: nobody is told.
	Renewed func(err error)
}

// Keeper holds one lease at a time and renews it. Safe for concurrent use.
type Keeper struct {
	Config
	mu      sync.Mutex
	current *Lease
}

// Lease is the right to execute the runs that were claimed under ID.
type Lease struct {
	ID uuid.UUID
	// Holder names this instance for people.
	Holder string
	// Context ends, with ErrLost as its cause, before the lease runs out in the database. So
	// whoever executes under the lease stops before anybody else can start.
	Context context.Context

	lose    context.CancelCauseFunc
	runsOut *time.Timer
	until   atomic.Int64 // when runsOut fires, in nanoseconds since began
	began   time.Time
}

// Held reports whether the lease may still be used. It looks at the time, not at the timer: after a
// process was stopped for a while all its timers are overdue, and this one may fire late.
func (l *Lease) Held() bool {
	return l.Context.Err() == nil && time.Since(l.began) < time.Duration(l.until.Load())
}

// extend makes the lease last for d from now on.
func (l *Lease) extend(d time.Duration) {
	l.until.Store(int64(time.Since(l.began) + d))
	l.runsOut.Reset(d)
}

// NewKeeper returns a Keeper that holds no lease yet.
func NewKeeper(c Config) *Keeper {
	c.Logger = cmp.Or(c.Logger, slog.Default())
	c.Duration = cmp.Or(c.Duration, 9*time.Second)
	if c.Renewed == nil {
		c.Renewed = func(error) {}
	}
	return &Keeper{Config: c}
}

// Hold returns the current lease. It takes a new one if there is none or it was lost.
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
	ctx, cancel := context.WithTimeout(ctx, k.Duration) // a lease that comes later has run out
	defer cancel()
	asked := time.Now()
	l := &Lease{ID: id, Holder: Holder(), began: asked}
	params := db.CreateLeaseParams{ID: id, Holder: l.Holder, Duration: k.Duration}
	if err := k.Queries.CreateLease(ctx, params); err != nil {
		return nil, fmt.Errorf("take a lease: %w", err)
	}
	l.Context, l.lose = context.WithCancelCause(context.Background())
	l.runsOut = time.AfterFunc(k.Duration, func() { l.lose(ErrLost) })
	l.extend(k.usableFor(asked))
	k.current = l
	return l, nil
}

// Run renews the current lease until ctx ends. It tries a failed renewal again soon: nothing is
// lost before the lease has run out.
func (k *Keeper) Run(ctx context.Context) {
	outage := logging.Outage{
		Logger:  k.Logger,
		Failing: "could not renew the lease; if it runs out, this instance stops its runs and others take them over",
		Working: "the lease is renewed again",
	}
	timer := time.NewTimer(k.Duration / 3)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		next := k.Duration / 3
		switch renewed, err := k.renew(ctx); {
		case ctx.Err() != nil:
			return
		case err != nil:
			k.Renewed(err)
			outage.Failed(ctx, err)
			next = k.Duration / 20
		case renewed:
			k.Renewed(nil)
			outage.Worked(ctx)
		}
		timer.Reset(next)
	}
}

// renew makes the lease last its full duration from now on. It returns false without an error if no
// lease is held.
func (k *Keeper) renew(ctx context.Context) (renewed bool, err error) {
	k.mu.Lock()
	l := k.current
	k.mu.Unlock()
	if l == nil || !l.Held() {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, k.Duration/3)
	defer cancel()
	asked := time.Now()
	n, err := k.renewRow(ctx, l.ID)
	if err != nil {
		return false, fmt.Errorf("renew the lease: %w", err)
	}
	if n == 0 {
		l.lose(ErrLost)
		return false, ErrLost
	}
	// If the timer has fired already, it has ended the context for good, so this renewal is never
	// used.
	l.extend(k.usableFor(asked))
	return true, nil
}

// renewRow makes the row of a lease last from now on. Zero rows: the lease is lost.
func (k *Keeper) renewRow(ctx context.Context, id uuid.UUID) (rows int64, err error) {
	if k.Instance == nil {
		return k.Queries.RenewLease(ctx, db.RenewLeaseParams{ID: id, Duration: k.Duration})
	}
	return k.Instance.RenewWithLease(ctx, k.Queries, id, k.Duration)
}

// Release gives up the current lease, if any, and reports whether there was one. Anybody may then
// claim the runs that are still claimed under it, so call it when nothing executes.
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
	if err := k.Queries.ExpireLease(ctx, l.ID); err != nil {
		return true, fmt.Errorf("release the lease: %w", err)
	}
	return true, nil
}

// usableFor returns how long a lease that was asked for at asked may be used from now on. The
// database counts the duration from a later moment, so this ends first, and a tenth of the duration
// earlier, in which executors stop.
func (k *Keeper) usableFor(asked time.Time) time.Duration {
	return k.Duration - k.Duration/10 - time.Since(asked)
}

// Holder names this instance for people: its host and process.
func Holder() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s/%d", host, os.Getpid())
}
