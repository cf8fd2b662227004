// Package notify tells other instances, through the database, what has become due and what is
// canceled, so that they need not wait for their next poll.
package notify

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"punctual/gen/db"
	"punctual/internal/clock"
	"punctual/internal/logging"
)

const (
	// coalesce is for how long announcements are collected before one statement sends them all. So
	// however many jobs are created, an instance notifies at most 50 times a second, and each queue
	// at most once in each of these statements.
	coalesce = 20 * time.Millisecond
	// sendWithin bounds one statement.
	sendWithin = 2 * time.Second
	// maxRetryDelay is the longest wait before another try to notify, or to listen. Runs may be
	// late by this much after an outage, so it is short.
	maxRetryDelay = 5 * time.Second
)

// AnnouncerConfig is what an Announcer needs. Zero means default.
type AnnouncerConfig struct {
	Queries *db.Queries
	// Cell is that of which it announces what becomes due. Empty: the first one.
	Cell   string
	Logger *slog.Logger
	// Sent is called after each try to send announcements, with how many. Default: nobody is told.
	Sent func(announcements int, err error)
}

// Announcer tells all instances when something becomes due. Make it with NewAnnouncer and Run it.
// Safe for concurrent use.
//
// It announces every instant, however far away: only the instance that sleeps knows when it would
// look by itself, because each has a poll interval of its own. An instance that hears of a distant
// instant sets a timer and asks nothing.
type Announcer struct {
	AnnouncerConfig
	mu       sync.Mutex
	earliest map[string]time.Time // the instants to announce, by queue
	pending  chan struct{}        // has a token if there are any
}

// NewAnnouncer returns an Announcer that collects announcements until it is Run.
func NewAnnouncer(c AnnouncerConfig) *Announcer {
	c.Logger = cmp.Or(c.Logger, slog.Default())
	if c.Sent == nil {
		c.Sent = func(int, error) {}
	}
	return &Announcer{AnnouncerConfig: c, earliest: map[string]time.Time{}, pending: make(chan struct{}, 1)}
}

// Announce says that something becomes due at readyAt, by the database's clock, for the workers of
// a queue, or for instances if the queue is empty. Call it after that has been committed. It does
// not wait.
func (a *Announcer) Announce(queue string, readyAt time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if earliest, ok := a.earliest[queue]; ok {
		readyAt = clock.Earlier(earliest, readyAt)
	}
	a.earliest[queue] = readyAt
	select {
	case a.pending <- struct{}{}:
	default:
	}
}

// Run sends announcements until ctx ends, and then those that are left. What could not be sent is
// kept and sent again.
func (a *Announcer) Run(ctx context.Context) {
	outage := logging.Outage{
		Logger:   a.Logger,
		Failing:  "could not notify other instances of due runs; these may start late, by up to the poll interval",
		Working:  "other instances are notified of due runs again",
		MaxDelay: maxRetryDelay,
	}
	for stopping := false; !stopping; {
		select {
		case <-ctx.Done():
		case <-a.pending:
			clock.Sleep(ctx, coalesce)
		}
		stopping = ctx.Err() != nil
		if err := a.send(context.WithoutCancel(ctx)); err != nil {
			clock.Sleep(ctx, outage.Failed(ctx, err))
		} else {
			outage.Worked(ctx)
		}
	}
}

// send sends what has been collected.
func (a *Announcer) send(ctx context.Context) error {
	due := a.take()
	if len(due) == 0 {
		return nil // sent with the announcements before
	}
	params := db.NotifyDueParams{Suffix: Suffix(a.Cell)}
	for queue, readyAt := range due {
		params.Queues = append(params.Queues, queue)
		params.UnixMicros = append(params.UnixMicros, readyAt.UnixMicro())
	}
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	err := a.Queries.NotifyDue(ctx, params)
	a.Sent(len(due), err)
	if err != nil {
		for queue, readyAt := range due {
			a.Announce(queue, readyAt)
		}
		return fmt.Errorf("notify: %w", err)
	}
	return nil
}

// Suffix is what NotifyDue sends after the name of a queue: the cell, unless that is the first one.
func Suffix(cell string) string {
	if cell == "" {
		return ""
	}
	return " " + cell
}

// take returns what has been collected, and forgets it.
func (a *Announcer) take() (due map[string]time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	due, a.earliest = a.earliest, map[string]time.Time{}
	return due
}
