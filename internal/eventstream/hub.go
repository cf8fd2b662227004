// Package eventstream passes on what happens to who follows it, at whichever instance.
//
// Instances tell each other by NOTIFY, and only while somebody follows: an instance with followers
// says so every few seconds, and the others forget it when it no longer does. PostgreSQL passes the
// messages on in one order, so all instances have the same record of them, and a follower who is
// interrupted goes on at another instance. The stream makes no promise to be complete. What may be
// missing is told.
package eventstream

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"punctual/gen/db"
	"punctual/internal/clock"
	"punctual/internal/events"
)

const (
	// maxFollowers bounds the followers of an instance, and maxOfNamespace those of one namespace,
	// so that none takes the place of all others.
	maxFollowers   = 5000
	maxOfNamespace = 2000
	// behind is how much earlier an event may have happened than it is heard.
	behind = 5 * time.Second
	// silentAfter is how long nothing is heard of an instance before it counts as dead. It says
	// something every announceEach.
	silentAfter = 10 * time.Second
	// maxHeard bounds the messages that were received and not recorded yet.
	maxHeard = 4096
)

// Config is what a Hub needs. Zero means default.
type Config struct {
	Queries *db.Queries
	Logger  *slog.Logger
}

// Hub is where an instance publishes what happens, hears what happens elsewhere, and where others
// follow it. Make it with New and Run it. Safe for concurrent use.
type Hub struct {
	Config
	// name names this process in messages and ids. No other has it.
	name     string
	interest interest
	outbox   outbox
	clock    clock.Clock
	// heard has what was heard and is not recorded yet, and unheard a token if something was
	// missed.
	heard   chan string
	unheard chan struct{}
	// wake has a token if followers want something that nobody was told of.
	wake chan struct{}

	mu         sync.Mutex
	record     record
	publishers map[string]*publisher
	demands    map[string]*demand
	// questions counts how often it was to be asked what others follow; isAsking says that it is to
	// be asked.
	questions int
	isAsking  bool
	// asked are the namespaces whose followers want something that nobody was told of.
	asked     map[string]bool
	followers int
	// accessChanges counts the calls of AccessChanged.
	accessChanges int
	isClosed      bool
	// heardAt and wantedAt are when anything, and any interest, was heard last; zero: never.
	heardAt, wantedAt time.Time
	// losses counts the entries of losses, for their ids.
	losses int
	// missed is when this instance heard nothing, while others do not know it.
	missed lost
}

var _ events.Follower = (*Hub)(nil)

// publisher is what is known of an instance that publishes.
type publisher struct {
	number int64 // of its last message
	// toldAt is the time of its last message, and heardAt when it was heard.
	toldAt, heardAt time.Time
	parts           []part
}

// New returns a Hub that follows nothing yet.
func New(c Config) *Hub {
	c.Logger = cmp.Or(c.Logger, slog.Default())
	h := &Hub{
		Config: c, name: rand.Text()[:12], outbox: newOutbox(), heard: make(chan string, maxHeard), unheard: make(chan struct{}, 1), wake: make(chan struct{}, 1), record: newRecord(),
		publishers: map[string]*publisher{}, demands: map[string]*demand{}, asked: map[string]bool{},
	}
	h.interest.isUnknown.Store(true)
	return h
}

// Wants returns the types of events that somebody follows in a namespace, at any instance. It
// leaves out, and counts as lost, what there are too many of at present.
func (h *Hub) Wants(namespace string) events.Set {
	set := h.interest.wants(namespace)
	if set&ofRuns != 0 && h.outbox.isFull(namespace, h.clock.Now()) {
		set &^= ofRuns
	}
	return set
}

// Publish passes on what has happened and is committed, if somebody follows it. It does not wait:
// what is too much is lost, and told as such.
func (h *Hub) Publish(what []events.Event) {
	if h.interest.isFollowed.Load() || h.interest.isUnknown.Load() {
		h.outbox.put(what, h.interest.wants)
	}
}

// Hear takes what another instance, or this one, has sent. It does not block.
func (h *Hub) Hear(payload string) {
	select {
	case h.heard <- payload:
	default:
		h.Missed()
	}
}

// Missed says that something that was sent may not have been heard. It does not block.
func (h *Hub) Missed() {
	select {
	case h.unheard <- struct{}{}:
	default: // it is about to be told already
	}
}

// AccessChanged says that a key or a namespace has changed, so that followers are to be checked.
func (h *Hub) AccessChanged() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.accessChanges++
	h.record.wakeAll()
}

// Followers returns how many follow events at this instance.
func (h *Hub) Followers() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.followers
}

// Close ends all followers, and takes no new ones.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.isClosed = true
	h.record.wakeAll()
}

// Run publishes and records until ctx ends. Then it sends what is left.
func (h *Hub) Run(ctx context.Context) {
	var listening sync.WaitGroup
	listening.Go(func() { h.listen(ctx) })
	h.publish(ctx)
	listening.Wait()
}
