// Package instances keeps the row by which an instance is known to be alive, whatever it does. The
// row also tells what the instance did some seconds ago, so that a list asks no other instance.
package instances

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/internal/logging"
)

// Lasts is how long an instance counts as alive after it has written its row, as long as a lease.
const Lasts = 9 * time.Second

// WrittenEach returns how often a row is written at least that lasts for so long: less often than a
// lease is renewed, which is a third of the same time and writes the row, too.
func WrittenEach(lasts time.Duration) time.Duration { return lasts * 4 / 9 }

// Config is what a Registry needs. Zero means default.
type Config struct {
	// ID is the id of the instance. Default: a new one.
	ID      uuid.UUID
	Queries *db.Queries
	Logger  *slog.Logger
	// Name is the host and the process, for people.
	Name    string
	Version string
	// Roles are what the instance does: API, POLLER.
	Roles []string
	// Executing returns how many runs the instance holds. Default: it holds none.
	Executing func() int
	// Asking returns how many requests of workers wait, by the qualified name of their queue.
	// Default: none wait.
	Asking func() map[string]int32
	// Duration is how long an instance counts as alive after it has written its row, which it does
	// at least twice in this time. Default: Lasts.
	Duration time.Duration
}

// Registry writes the row of one instance. Make it with New. Safe for concurrent use.
type Registry struct {
	Config
	// writtenAt is when the row was written last, in nanoseconds since began.
	writtenAt atomic.Int64
	began     time.Time
}

// New returns a Registry that has written nothing yet.
func New(c Config) (*Registry, error) {
	if c.ID == uuid.Nil {
		var err error
		if c.ID, err = uuid.NewV7(); err != nil {
			return nil, fmt.Errorf("make the id of the instance: %w", err)
		}
	}
	c.Logger = cmp.Or(c.Logger, slog.Default())
	c.Duration = cmp.Or(c.Duration, Lasts)
	if c.Executing == nil {
		c.Executing = func() int { return 0 }
	}
	if c.Asking == nil {
		c.Asking = func() map[string]int32 { return nil }
	}
	return &Registry{Config: c, began: time.Now()}, nil
}

// Run writes the row whenever nobody has done so for a while, until ctx ends: the renewal of a
// lease does it, too. It tries a failed write again soon.
func (r *Registry) Run(ctx context.Context) {
	outage := logging.Outage{
		Logger:  r.Logger,
		Failing: "could not write that this instance is alive; it is missing in the list of instances until this succeeds",
		Working: "it is written again that this instance is alive",
	}
	every := WrittenEach(r.Duration)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		next := every
		if ago := r.writtenAgo(); ago < every {
			timer.Reset(every - ago)
			continue
		}
		switch err := r.Renew(ctx); {
		case ctx.Err() != nil:
			return
		case err != nil:
			outage.Failed(ctx, err)
			next = r.Duration / 20
		default:
			outage.Worked(ctx)
		}
		timer.Reset(next)
	}
}

// writtenAgo returns for how long the row has not been written.
func (r *Registry) writtenAgo() time.Duration {
	return time.Since(r.began) - time.Duration(r.writtenAt.Load())
}

// Renew writes that the instance is alive, and what it does.
func (r *Registry) Renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.Duration/3)
	defer cancel()
	begun := time.Since(r.began)
	if err := r.Queries.RenewInstance(ctx, r.row()); err != nil {
		return fmt.Errorf("write that the instance is alive: %w", err)
	}
	r.writtenAt.Store(int64(begun))
	return nil
}

// RenewWithLease is Renew, and makes a lease last for a duration from now on, in the same
// statement. Zero rows: the lease is lost. If the instance has no row, Run writes it.
func (r *Registry) RenewWithLease(ctx context.Context, q *db.Queries, lease uuid.UUID, duration time.Duration) (rows int64, err error) {
	begun, row := time.Since(r.began), r.row()
	hasRow, err := q.RenewLeaseAndInstance(ctx, db.RenewLeaseAndInstanceParams{
		InstanceID: row.ID, InstanceDuration: row.Duration, Executing: row.Executing, AskedQueues: row.AskedQueues, Asking: row.Asking,
		ID: lease, Duration: duration,
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return 0, nil
	case err != nil:
		return 0, err
	case hasRow:
		r.writtenAt.Store(int64(begun))
	}
	return 1, nil
}

// row returns what is written.
func (r *Registry) row() db.RenewInstanceParams {
	row := db.RenewInstanceParams{
		ID: r.ID, Name: r.Name, Version: r.Version, Roles: r.Roles, Duration: r.Duration, Executing: int32(r.Executing()),
		AskedQueues: []string{}, Asking: []int32{},
	}
	asking := r.Asking()
	for _, queue := range slices.Sorted(maps.Keys(asking)) {
		row.AskedQueues = append(row.AskedQueues, queue)
		row.Asking = append(row.Asking, asking[queue])
	}
	return row
}

// Release deletes the row. Call it when the instance does nothing any more.
func (r *Registry) Release(ctx context.Context) error {
	err := r.Queries.ForgetInstance(ctx, r.ID)
	if err != nil { // the connection may be broken since it was used last
		err = r.Queries.ForgetInstance(ctx, r.ID)
	}
	if err != nil {
		return fmt.Errorf("delete the row of the instance: %w", err)
	}
	return nil
}
