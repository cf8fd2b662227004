// Package notify tells instances, through the database, that something has become due sooner than they may know. It is a
// short cut and nothing depends on it: without it, an instance finds out by its next poll.
package notify

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"punctual/gen/db"
)

// coalesce is for how long announcements are collected before one notification is sent for all of them.
const coalesce = 20 * time.Millisecond

// sendWithin bounds sending one: polling is not much later by then.
const sendWithin = 2 * time.Second

// AnnouncerConfig is what an Announcer needs. Zero means default.
type AnnouncerConfig struct {
	Queries *db.Queries
	Logger  *slog.Logger
	// PollInterval is how far ahead instances look by themselves at least: what is due later needs no announcement. The
	// pollers' own. Default 5 s.
	PollInterval time.Duration
}

// Announcer sends notifications. Make it with NewAnnouncer and Run it. Safe for concurrent use.
type Announcer struct {
	AnnouncerConfig
	mu       sync.Mutex
	earliest map[string]time.Time // of what is to be announced, for each queue
	pending  chan struct{}
}

// NewAnnouncer returns an Announcer that collects until it is Run.
func NewAnnouncer(c AnnouncerConfig) *Announcer {
	c.Logger = cmp.Or(c.Logger, slog.Default())
	c.PollInterval = cmp.Or(c.PollInterval, 5*time.Second)
	return &Announcer{AnnouncerConfig: c, earliest: map[string]time.Time{}, pending: make(chan struct{}, 1)}
}

// Announce says that something has become due at readyAt, as of now, an instant of the database's clock: for the workers of a
// queue, or for instances, whose queue is the empty one. Call it when that is committed. It does not wait.
func (a *Announcer) Announce(queue string, readyAt, now time.Time) {
	// A second more, for what lies between a poll and the instant it looks ahead to.
	if readyAt.Sub(now) > a.PollInterval+time.Second {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if earliest, ok := a.earliest[queue]; !ok || readyAt.Before(earliest) {
		a.earliest[queue] = readyAt
	}
	select {
	case a.pending <- struct{}{}:
	default:
	}
}

// Run sends what is announced until ctx ends, and then what is left. A notification that fails is logged and lost: polling makes
// up for it.
func (a *Announcer) Run(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-a.pending:
			select {
			case <-ctx.Done():
			case <-time.After(coalesce):
			}
		}
		a.send(context.WithoutCancel(ctx))
	}
}

// send sends what is announced.
func (a *Announcer) send(ctx context.Context) {
	due := a.take()
	if len(due.Queues) == 0 {
		return // announced while the one before was collected, and sent with it
	}
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	if err := a.Queries.NotifyDue(ctx, due); err != nil {
		a.Logger.WarnContext(ctx, "not announced that something is due", "error", err)
	}
}

// take returns what is to be announced.
func (a *Announcer) take() (due db.NotifyDueParams) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for queue, earliest := range a.earliest {
		due.Queues = append(due.Queues, queue)
		due.UnixMicros = append(due.UnixMicros, earliest.UnixMicro())
	}
	clear(a.earliest)
	return due
}
