package eventstream

import (
	"slices"
	"sync"
	"time"

	"punctual/internal/events"
)

const (
	// maxWaiting bounds how many events of this instance wait to be sent. With the next two, an
	// event waits for two seconds at most.
	maxWaiting = 4000
	// maxBatch is how many events are sent at a time, of all namespaces together.
	maxBatch = 200
	// batchEach is how often.
	batchEach = 100 * time.Millisecond
	// minRoom is how many events of a namespace may wait, however many namespaces have some.
	minRoom = 20
	// madeWithin is how long ago a run may have ended whose event is to be made.
	madeWithin = time.Second
)

// ofRuns are the types of which there may be very many. They leave some room to the others.
var ofRuns = events.SetOf(events.RunSucceeded, events.RunFailed, events.RunSkipped, events.RunLate)

// outbox has the events of this instance that are to be sent. When there are too many, it drops
// new ones and keeps in mind from when to when, so that nobody has to wait for it. No namespace can
// take the room of others.
type outbox struct {
	mu      sync.Mutex
	boxes   map[string]*box
	waiting chan struct{} // has a token if there are any
}

type box struct {
	events []events.Event
	lost   lost
}

// room returns how many events of a namespace may wait when one more comes.
func (o *outbox) room(isOfRun bool) int {
	room := max(minRoom, maxWaiting/max(1, len(o.boxes)))
	if isOfRun {
		return room * 3 / 4
	}
	return room
}

// isFull reports whether there is no room for events of the runs of a namespace, which then need
// not be made. They count as lost, at an instant.
func (o *outbox) isFull(namespace string, at time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.boxes[namespace]
	if b == nil || len(b.events) < o.room(true) {
		return false
	}
	b.lost = b.lost.with(lost{at.Add(-madeWithin), at})
	return true
}

// tellLost puts what was lost where it is missing.
func (b *box) tellLost(namespace string) {
	if !b.lost.isNone() {
		b.events = append(b.events, b.lost.event(namespace))
		b.lost = lost{}
	}
}

func newOutbox() outbox { return outbox{boxes: map[string]*box{}, waiting: make(chan struct{}, 1)} }

// put adds the events that somebody wants to know of.
func (o *outbox) put(what []events.Event, wants func(namespace string) events.Set) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var namespace string
	var set events.Set
	for i := range what {
		e := &what[i]
		if i == 0 || e.Namespace != namespace {
			namespace, set = e.Namespace, wants(e.Namespace)
		}
		if !set.Has(e.Type) {
			continue
		}
		b := o.boxes[namespace]
		if b == nil {
			b = &box{}
			o.boxes[namespace] = b
		}
		if len(b.events) >= o.room(ofRuns.Has(e.Type)) {
			b.lost = b.lost.with(lost{e.Timestamp.Time, e.Timestamp.Time})
			continue
		}
		b.tellLost(namespace)
		b.events = append(b.events, *e)
	}
	o.wake()
}

// wake makes the events be taken, if there are any.
func (o *outbox) wake() {
	if len(o.boxes) == 0 {
		return
	}
	select {
	case o.waiting <- struct{}{}:
	default: // they are about to be taken already
	}
}

// keep drops the events that nobody wants to know of.
func (o *outbox) keep(wants func(namespace string) events.Set) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for namespace, b := range o.boxes {
		set := wants(namespace)
		b.events = slices.DeleteFunc(b.events, func(e events.Event) bool { return e.Type != typeLost && !set.Has(e.Type) })
		if set == 0 {
			delete(o.boxes, namespace)
		}
	}
	o.wake()
}

// take returns the next events, by namespace, and reports whether there are more.
func (o *outbox) take() (batch map[string][]events.Event, isMore bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	batch = map[string][]events.Event{}
	room := max(1, maxBatch/max(1, len(o.boxes))) // each namespace may send one
	for namespace, b := range o.boxes {
		n := min(room, len(b.events))
		batch[namespace] = b.events[:n:n]
		b.events = b.events[n:]
		if len(b.events) == 0 {
			b.tellLost(namespace)
		}
		if len(b.events) == 0 {
			delete(o.boxes, namespace)
		}
	}
	return batch, len(o.boxes) > 0
}
