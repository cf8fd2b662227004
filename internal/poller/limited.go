package poller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/clock"
	"punctual/internal/logging"
)

const (
	// limitedAhead is how far ahead of the instant at which it may start a run of a connection is
	// claimed at most. It is longer than claimAhead, because an instant of a limit that passes
	// while a claim is late is not made up for.
	limitedAhead = 800 * time.Millisecond
	// limitedLead is how far ahead of that instant it is claimed if possible.
	limitedLead = 400 * time.Millisecond
	// limitedBatch is how many queues are served at once.
	limitedBatch = 50
	// busyDelay is the time until another look at a queue that another instance serves, or when
	// this one has no free slots.
	busyDelay = 50 * time.Millisecond
	// minLook is the shortest time between two looks at a queue with free places, and fullLook that
	// of one whose places are all taken, unless a run of this instance ends before.
	minLook, fullLook = 10 * time.Millisecond, time.Second
	// limitedPage is how many queues one statement lists.
	limitedPage = 1000
	// seldom is how many times as long the queues are not listed while there are none.
	seldom = 6
)

// limited knows when to look at the queues of connections and concurrency groups. What it knows is
// not exact: to look at a queue too early costs a statement. Make it with newLimited.
type limited struct {
	alarm *clock.Alarm
	// slots holds one token for each run of a connection that is claimed and not yet released.
	slots chan struct{}

	mu sync.Mutex
	// looks is when to look at each queue in which there are rows, or were lately.
	looks map[string]time.Time
	// full are the queues of connections with rows that wait because all places are taken.
	full map[string]bool
	// isUnsure is whether there may be queues that are not in looks.
	isUnsure bool
	// listedAt is when the queues were listed last, by this process' clock.
	listedAt time.Time
	// breakers are the connections of which attempts have failed lately.
	breakers map[uuid.UUID]*breaker
}

func newLimited(maxConcurrentRuns int) *limited {
	return &limited{
		alarm: clock.NewAlarm(), slots: make(chan struct{}, max(maxConcurrentRuns/2, 1)), isUnsure: true,
		looks: map[string]time.Time{}, full: map[string]bool{}, breakers: map[uuid.UUID]*breaker{},
	}
}

// DueLimited is Due for a row in the queue of a connection or of a concurrency group.
func (p *Poller) DueLimited(queue string, readyAt time.Time) {
	p.limited.look(queue, readyAt.Add(-leadOf(queue)))
}

// leadOf returns how far ahead of its instant a run of a queue is looked at if possible. One of a
// group gets its place early enough to be claimed in time, and no earlier, because another run
// could use the place until then.
func leadOf(queue string) time.Duration {
	if access.IsGroup(queue) {
		return 2 * claimLead
	}
	return limitedLead
}

// look makes a queue be looked at, at an instant at the latest.
func (l *limited) look(queue string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known, ok := l.looks[queue]; !ok || at.Before(known) {
		l.looks[queue] = at
	}
	l.alarm.Ring(at)
}

// missed makes all queues be listed.
func (l *limited) missed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isUnsure = true
	l.alarm.Ring(time.Time{})
}

// released notes that a run of a connection is stored: others may begin.
func (l *limited) released() {
	<-l.slots
	l.mu.Lock()
	defer l.mu.Unlock()
	for queue := range l.full {
		l.looks[queue] = time.Time{}
		l.alarm.Ring(time.Time{})
	}
	clear(l.full)
}

// looked notes when to look again at a queue, after a look at now: when its next run may start.
// isFull is whether that waits for a place, and hadNoSlots whether there was no slot for another.
func (l *limited) looked(queue string, startsAt, now time.Time, isFull, hadNoSlots bool) {
	earliest := now.Add(minLook)
	switch {
	case isFull:
		earliest = now.Add(fullLook)
		if access.IsGroup(queue) {
			break // whoever ends one of its runs tells
		}
		l.mu.Lock()
		l.full[queue] = true
		l.mu.Unlock()
	case hadNoSlots:
		earliest = now.Add(busyDelay)
	}
	l.look(queue, clock.Later(startsAt.Add(-leadOf(queue)), earliest))
}

// listEvery returns how often the queues are to be listed, if those that have rows are listed that
// often, and whether it is time to. If there are none, others will tell of the first, and it is
// done seldom.
func (l *limited) listEvery(interval time.Duration) (every time.Duration, isDue bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if every = interval; len(l.looks) == 0 {
		every *= seldom
	}
	return every, l.isUnsure || time.Since(l.listedAt) >= every
}

// take returns queues to be looked at now, and the instant of the next look at others.
func (l *limited) take(now time.Time) (queues []string, next time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next = now.Add(24 * time.Hour)
	for queue, at := range l.looks {
		switch {
		case at.After(now):
			next = clock.Earlier(next, at)
		case len(queues) == limitedBatch:
			next = now
		default:
			queues = append(queues, queue)
			l.looks[queue] = now.Add(24 * time.Hour) // until the pass knows better
		}
	}
	return queues, next
}

// serveLimited claims and starts the runs of connections, and gives places in concurrency groups,
// until ctx ends. It has a goroutine of its own, so that no other run waits for it.
func (p *Poller) serveLimited(ctx context.Context) {
	outage := logging.Outage{
		Logger: p.Logger, Failing: "could not look at the runs of connections and concurrency groups; none starts here until this succeeds",
		Working: "the runs of connections and concurrency groups start again",
	}
	for ctx.Err() == nil {
		err := p.serveLimitedOnce(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			outage.Failed(ctx, err)
			clock.Sleep(ctx, retryDelay)
		default:
			outage.Worked(ctx)
		}
	}
}

// queues returns the queues of a kind in which there are rows, or were lately.
func (l *limited) queues(isOf func(string) bool) (queues []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for queue := range l.looks {
		if isOf(queue) {
			queues = append(queues, queue)
		}
	}
	return queues
}

// serveLimitedOnce waits until there is something to look at, and looks at it once.
func (p *Poller) serveLimitedOnce(ctx context.Context) error {
	l := p.limited
	l.alarm.Clear()
	if _, isDue := l.listEvery(p.PollInterval); isDue {
		if err := p.listLimited(ctx); err != nil {
			return err
		}
	}
	now := p.clock.Now()
	queues, next := l.take(now)
	if len(queues) > 0 {
		groups := slices.DeleteFunc(slices.Clone(queues), access.IsConnection)
		_, err := p.claimLimited(ctx, without(queues, groups), func() {})
		return errors.Join(err, p.givePlaces(ctx, groups))
	}
	every, _ := l.listEvery(p.PollInterval)
	l.alarm.Ring(clock.Earlier(next, now.Add(every)))
	l.alarm.Wait(ctx, p.clock.Now)
	return nil
}

// listLimited finds the queues in which rows wait, and when they are ready.
func (p *Poller) listLimited(ctx context.Context) error {
	l := p.limited
	l.mu.Lock()
	l.isUnsure, l.listedAt = false, time.Now()
	before := l.looks
	l.looks = make(map[string]time.Time, len(before))
	l.mu.Unlock()
	for after := ""; ; {
		rows, err := p.queries.ListLimited(ctx, db.ListLimitedParams{After: after, MaxRows: limitedPage})
		if err != nil {
			l.mu.Lock()
			l.isUnsure = true
			l.mu.Unlock()
			for queue, at := range before {
				l.look(queue, at)
			}
			return fmt.Errorf("list the queues of connections and concurrency groups: %w", err)
		}
		for _, row := range rows {
			l.look(row.Queue, row.ReadyAt.Add(-leadOf(row.Queue)))
			after = row.Queue
		}
		if len(rows) < limitedPage {
			return nil
		}
	}
}
