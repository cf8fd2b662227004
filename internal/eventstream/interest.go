package eventstream

import (
	"sync"
	"sync/atomic"
	"time"

	"punctual/internal/events"
)

const (
	// announceEach is how often an instance says what its followers want, while somebody follows
	// anywhere.
	announceEach = 3 * time.Second
	// forgottenAfter is how long an instance goes on publishing what nobody has asked for anew.
	forgottenAfter = 15 * time.Second
	// coveredFor is how long others count on that. It is shorter, because they may hear later.
	coveredFor = 10 * time.Second
	// lingersFor is how long an instance goes on asking for what its last follower wanted, so that
	// a follower who comes back, perhaps to another instance, has missed nothing.
	lingersFor = 10 * time.Second
)

// types is how many types a Set can have.
const types = 16

// span is for how long somebody has wanted the events of a type, in a namespace.
type span struct {
	// since is the position in the record from which on all of them are there.
	since uint64
	// at is when this was asked for last.
	at time.Time
}

// interest is what the followers of all instances want. Safe for concurrent use.
type interest struct {
	// isFollowed says that somebody follows anywhere. It is all that is looked at while nobody
	// does.
	isFollowed atomic.Bool
	// isUnknown says that this instance has not heard yet what others follow. Until then all that
	// happens is kept for them.
	isUnknown atomic.Bool
	mu        sync.RWMutex
	spans     map[string]*[types]span
}

// add notes that a set is wanted in a namespace, as a message says that is recorded at a position.
func (i *interest) add(namespace string, set events.Set, position uint64, now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.spans == nil {
		i.spans = map[string]*[types]span{}
	}
	spans := i.spans[namespace]
	if spans == nil {
		spans = &[types]span{}
		i.spans[namespace] = spans
	}
	for n := range types {
		if set&(1<<n) == 0 {
			continue
		}
		s := &spans[n]
		if s.at.IsZero() || now.Sub(s.at) > coveredFor {
			s.since = position
		}
		s.at = now
	}
	i.isFollowed.Store(true)
}

// wants returns which events of a namespace are to be published, as far as is known.
func (i *interest) wants(namespace string) events.Set {
	switch {
	case i.isUnknown.Load():
		return events.All()
	case !i.isFollowed.Load():
		return 0
	}
	return i.asked(namespace)
}

// asked returns which events of a namespace somebody has asked for.
func (i *interest) asked(namespace string) (set events.Set) {
	i.mu.RLock()
	defer i.mu.RUnlock()
	spans := i.spans[namespace]
	if spans == nil {
		return 0
	}
	now := time.Now()
	for n := range types {
		if at := spans[n].at; !at.IsZero() && now.Sub(at) < forgottenAfter {
			set |= 1 << n
		}
	}
	return set
}

// since returns the position from which on all events of a set are in the record. It reports false
// if some may be missing at present.
func (i *interest) since(namespace string, set events.Set, now time.Time) (position uint64, isCovered bool) {
	i.mu.RLock()
	defer i.mu.RUnlock()
	spans := i.spans[namespace]
	if spans == nil {
		return 0, false
	}
	for n := range types {
		s := spans[n]
		switch {
		case set&(1<<n) == 0:
		case s.at.IsZero() || now.Sub(s.at) > coveredFor:
			return 0, false
		default:
			position = max(position, s.since)
		}
	}
	return position, true
}

// forget forgets what nobody has asked for for a while.
func (i *interest) forget(now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for namespace, spans := range i.spans {
		isWanted := false
		for n := range types {
			if spans[n].at.IsZero() {
				continue
			}
			if now.Sub(spans[n].at) >= forgottenAfter {
				spans[n] = span{}
				continue
			}
			isWanted = true
		}
		if !isWanted {
			delete(i.spans, namespace)
		}
	}
	i.isFollowed.Store(len(i.spans) > 0)
}

// demand is what the followers of this instance want in a namespace.
type demand struct {
	followers int
	counts    [types]int
	leftAt    [types]time.Time
}

// add adds a follower.
func (d *demand) add(set events.Set) {
	d.followers++
	for n := range types {
		if set&(1<<n) != 0 {
			d.counts[n]++
		}
	}
}

// remove removes a follower.
func (d *demand) remove(set events.Set, now time.Time) {
	d.followers--
	for n := range types {
		if set&(1<<n) == 0 {
			continue
		}
		if d.counts[n]--; d.counts[n] == 0 {
			d.leftAt[n] = now
		}
	}
}

// set returns what is wanted, also by those who have left a moment ago.
func (d *demand) set(now time.Time) (set events.Set) {
	for n := range types {
		if left := d.leftAt[n]; d.counts[n] > 0 || !left.IsZero() && now.Sub(left) < lingersFor {
			set |= 1 << n
		}
	}
	return set
}
