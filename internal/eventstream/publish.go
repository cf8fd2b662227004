package eventstream

import (
	"context"
	"fmt"
	"time"

	"punctual/internal/clock"
	"punctual/internal/events"
	"punctual/internal/logging"
)

const (
	// sendWithin bounds one statement.
	sendWithin = 2 * time.Second
	// maxRetryDelay is the longest wait before another try to send.
	maxRetryDelay = 2 * time.Second
)

// sender sends the messages of an instance, each until it is sent.
type sender struct {
	*Hub
	packer packer
	number int64
	// unsent are the messages that are to be sent, or of which it is not known whether they were.
	unsent      []string
	announcedAt time.Time
}

// publish sends messages until ctx ends, and then those that are left.
func (h *Hub) publish(ctx context.Context) {
	s := &sender{Hub: h}
	outage := logging.Outage{
		Logger:   h.Logger,
		Failing:  "could not tell other instances what happens; followers miss events, and are told so",
		Working:  "other instances are told what happens again",
		MaxDelay: maxRetryDelay,
	}
	timer := time.NewTimer(announceEach)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			s.leave(context.WithoutCancel(ctx))
			return
		case <-h.wake:
		case <-h.outbox.waiting:
		case <-timer.C:
		}
		next := announceEach
		s.collectInterest(time.Now())
		if s.collectEvents() {
			next = batchEach
			clock.Sleep(ctx, batchEach)
		}
		if err := s.send(context.WithoutCancel(ctx)); err != nil {
			next = outage.Failed(ctx, err)
			clock.Sleep(ctx, next)
		} else {
			outage.Worked(ctx)
		}
		timer.Reset(next)
	}
}

// leave sends what is left, and that this is all.
func (s *sender) leave(ctx context.Context) {
	if !s.interest.isFollowed.Load() {
		return
	}
	for isMore := true; isMore; {
		isMore = s.collectEvents()
	}
	s.add(kindLeaving, "")
	if err := s.send(ctx); err != nil {
		s.Logger.Warn("could not tell other instances the last events of this one; followers are told so", "error", err)
	}
}

// wakeSender makes what is to be said be sent. It does not block.
func (h *Hub) wakeSender() {
	select {
	case h.wake <- struct{}{}:
	default: // it is about to be sent already
	}
}

// add adds a message.
func (s *sender) add(kind, body string) {
	s.number++
	s.unsent = append(s.unsent, message{publisher: s.name, number: s.number, kind: kind, body: body}.String())
}

// collectInterest adds what the followers of this instance want, if that is to be said anew, and
// that it is alive, if somebody follows anywhere.
func (s *sender) collectInterest(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isAsking {
		s.add(kindAsking, "")
		s.isAsking = false
	}
	isDue := now.Sub(s.announcedAt) >= announceEach
	wanted := map[string]events.Set{}
	for namespace, d := range s.demands {
		if !isDue && !s.asked[namespace] {
			continue
		}
		if set := d.set(now); set != 0 {
			wanted[namespace] = set
		} else {
			delete(s.demands, namespace)
		}
	}
	clear(s.asked)
	if len(wanted) == 0 && (!isDue || !s.interest.isFollowed.Load()) {
		return
	}
	if isDue {
		s.announcedAt = now
	}
	if !s.missed.isNone() {
		s.add(kindMissed, missedBody(s.missed))
		s.missed = lost{}
	}
	for _, body := range interestBodies(wanted) {
		s.add(kindInterest, body)
	}
}

// collectEvents adds the next events, unless others are still to be sent or it is not known which
// are wanted, and reports whether there are more.
func (s *sender) collectEvents() bool {
	if len(s.unsent) > maxUnsent || s.interest.isUnknown.Load() {
		return false
	}
	batch, isMore := s.outbox.take()
	for namespace, what := range batch {
		items := make([]item, 0, len(what))
		for i := range what {
			it, err := newItem(&what[i])
			if err != nil {
				s.Logger.Error("an event cannot be encoded; it is missing in streams", "type", what[i].Type, "error", err)
				continue
			}
			items = append(items, it)
		}
		bodies, err := s.packer.pack(namespace, items)
		if err != nil {
			s.Logger.Error("events cannot be encoded; they are missing in streams", "error", err)
		}
		for _, body := range bodies {
			s.add(kindEvents, body)
		}
	}
	return isMore
}

// maxUnsent is how many messages may be unsent when events are added to them.
const maxUnsent = 100

// send sends the messages in one statement, so that no others come between them.
func (s *sender) send(ctx context.Context) error {
	if len(s.unsent) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	if err := s.Queries.NotifyEvents(ctx, s.unsent); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	s.unsent = s.unsent[:0]
	return nil
}
