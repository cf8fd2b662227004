package eventstream

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"punctual/internal/clock"
	"punctual/internal/events"
	"punctual/internal/labels"
)

var (
	// ErrTooMany says that as many follow as may.
	ErrTooMany = errors.New("too many follow what happens")
	// ErrClosed says that the instance stops.
	ErrClosed = errors.New("the instance stops")
	// ErrUnheard says that this instance does not hear what others say, so nobody can follow here.
	ErrUnheard = errors.New("this instance does not hear what happens")
)

const (
	// heardWithin is how long a new follower waits until what they want is known.
	heardWithin = 5 * time.Second
	// settlesWithin is how much later than this one other instances may hear what is wanted.
	settlesWithin = 100 * time.Millisecond
	// knownWithin is how long an id may be unknown because this instance hears later than another.
	knownWithin = time.Second
	// keepAlive is the longest that a follower gets nothing.
	keepAlive = 10 * time.Second
	// maxRead is how many entries of the record a follower reads at a time.
	maxRead = 32
)

// Filter says which events of a namespace somebody follows.
type Filter struct {
	Namespace string
	// Types are the types. Zero: all.
	Types events.Set
	// Job is the job. Nil: any, or none.
	Job *uuid.UUID
	// Keys are those of the jobs. Nil: any.
	Keys []string
	// Selector selects the jobs. The zero Selector selects what has no job, too.
	Selector labels.Selector
}

// matches reports whether a follower gets an event.
func (f *Filter) matches(s *shown) bool {
	switch {
	case s.kind == typeLost:
		return true
	case f.Types != 0 && !f.Types.Has(s.kind):
		return false
	case f.Job != nil && (s.job == nil || *s.job != *f.Job):
		return false
	case f.Keys != nil && (s.key == nil || !slices.Contains(f.Keys, *s.key)):
		return false
	default:
		return f.Selector.IsEmpty() || s.job != nil && f.Selector.Matches(s.labels)
	}
}

// wanted returns the types that the follower wants.
func (f *Filter) wanted() events.Set {
	if f.Types == 0 {
		return events.All()
	}
	return f.Types
}

// Follower is somebody who follows. Make it with Follow and Close it. It is for one goroutine.
type Follower struct {
	hub    *Hub
	filter Filter
	// next is the position in the record that is read next, and skip how many events of its entry
	// were read.
	next uint64
	skip int
	// waitUntil is until when an id may be unknown.
	waitUntil time.Time
	// since is the position from which on everything is recorded that the follower wants.
	since uint64
	// at and id are those of the entry that was read last.
	at time.Time
	id string
	// ahead is what is read before all else.
	ahead         [][]byte
	accessChanges int
}

// Follow makes a Follower of what happens from now on, or after an event, if after is its id. It
// waits until what happens from then on is heard.
func (h *Hub) Follow(ctx context.Context, filter Filter, after string) (_ *Follower, err error) {
	f := &Follower{hub: h, filter: filter, waitUntil: time.Now().Add(knownWithin)}
	if err := f.join(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	ctx, cancel := context.WithTimeoutCause(ctx, heardWithin, ErrUnheard)
	defer cancel()
	for wasReady := true; ; {
		isReady, changed := f.begin(after)
		switch {
		case isReady && wasReady:
			return f, nil
		case isReady:
			// It was not asked for before, so other instances hear of it at this moment.
			clock.Sleep(ctx, settlesWithin)
			wasReady = true
		default:
			wasReady = false
			select {
			case <-changed:
			case <-time.After(settlesWithin):
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
}

// join counts the follower, and asks for what it wants.
func (f *Follower) join() error {
	h := f.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	d := h.demands[f.filter.Namespace]
	switch {
	case h.isClosed:
		return ErrClosed
	case h.followers >= maxFollowers || d != nil && d.followers >= maxOfNamespace:
		return ErrTooMany
	case d == nil:
		d = &demand{}
		h.demands[f.filter.Namespace] = d
	}
	h.followers++
	d.add(f.filter.wanted())
	f.accessChanges = h.accessChanges
	if _, isCovered := h.interest.since(f.filter.Namespace, f.filter.wanted(), time.Now()); !isCovered {
		h.asked[f.filter.Namespace] = true
		h.wakeSender()
	}
	return nil
}

// begin finds the place in the record to begin at. It is not ready as long as something that the
// follower wants may not be recorded.
func (f *Follower) begin(after string) (isReady bool, changed <-chan struct{}) {
	h := f.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	since, isCovered := h.interest.since(f.filter.Namespace, f.filter.wanted(), time.Now())
	if h.isClosed || !isCovered {
		return h.isClosed, h.record.changed // Next says that it is closed
	}
	last := h.record.last() // there is one: that which says what is wanted
	f.next, f.skip, f.at, f.id, f.since, f.ahead = h.record.end(), 0, last.at, last.after(), since, nil
	if after == "" {
		return true, nil
	}
	entryID, n, at := parseID(after)
	position, isKnown := h.record.byID[entryID]
	if isKnown && since <= position {
		f.next, f.skip, f.at, f.id = position, n, h.record.at(position).at, after
		return true, nil
	}
	if !isKnown && at.After(last.at.Add(-knownWithin)) && time.Now().Before(f.waitUntil) {
		return false, h.record.changed // it may be heard in a moment
	}
	if at.IsZero() || at.After(last.at) {
		at = time.UnixMicro(0) // nobody knows when that was
	}
	f.ahead = [][]byte{f.lost(lost{at, last.at})}
	return true, nil
}

// lost returns the event that says that some may be missing. Its id is the place where to go on.
func (f *Follower) lost(l lost) []byte {
	what := l.event(f.filter.Namespace)
	it, _ := newItem(&what) // instants can always be encoded
	return it.frame(f.id)
}

// ID is an id for Last-Event-ID that stands for the place that the follower has come to.
func (f *Follower) ID() string { return f.id }

// Close ends the follower.
func (f *Follower) Close() {
	h := f.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	h.followers--
	h.demands[f.filter.Namespace].remove(f.filter.wanted(), time.Now())
}

// Batch is what a follower gets at a time.
type Batch struct {
	// Frames are events, each as the stream has it. They must not be changed.
	Frames [][]byte
	// ID is an id for Last-Event-ID that stands for the place that the follower has come to.
	ID string
	// AccessChanged says that a key or a namespace has changed.
	AccessChanged bool
}

// Next waits for the next events, for some seconds at most. Then it returns none. It returns
// ErrClosed if the instance stops.
func (f *Follower) Next(ctx context.Context) (b Batch, err error) {
	timer := time.NewTimer(keepAlive)
	defer timer.Stop()
	for {
		entries, changed, err := f.read(&b)
		if err != nil {
			return Batch{}, err
		}
		for _, e := range entries {
			if err := f.collect(e, &b); err != nil {
				return Batch{}, err
			}
		}
		if b.ID = f.id; len(b.Frames) > 0 || b.AccessChanged {
			return b, nil
		}
		if changed == nil {
			continue
		}
		select {
		case <-changed:
		case <-timer.C:
			return b, nil
		case <-ctx.Done():
			return Batch{}, ctx.Err()
		}
	}
}

// read returns the next entries. If there are none, changed is closed when there are some.
func (f *Follower) read(b *Batch) (entries []*entry, changed <-chan struct{}, err error) {
	h := f.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.isClosed {
		return nil, nil, ErrClosed
	}
	b.AccessChanged, f.accessChanges = f.accessChanges != h.accessChanges, h.accessChanges
	b.Frames, f.ahead = append(b.Frames, f.ahead...), nil
	since, isCovered := h.interest.since(f.filter.Namespace, f.filter.wanted(), time.Now())
	switch oldest := h.record.at(h.record.first); {
	case isCovered && since > f.since: // for a while, nobody knew what the follower wants
		b.Frames = append(b.Frames, f.lost(lostSince(f.at, h.clock.Now())))
		f.since = since
	case f.next < h.record.first: // it was too slow
		b.Frames = append(b.Frames, f.lost(lostSince(f.at, oldest.at)))
		f.next, f.skip = h.record.first, 0
	}
	entries = slices.Clone(h.record.from(f.next, maxRead))
	if len(entries) == 0 {
		return nil, h.record.changed, nil
	}
	return entries, nil, nil
}

// collect adds the events of an entry that the follower wants.
func (f *Follower) collect(e *entry, b *Batch) error {
	if e.namespace == f.filter.Namespace || !e.lost.isNone() {
		content, err := e.content()
		if err != nil {
			return err
		}
		for _, one := range content[min(f.skip, len(content)):] {
			if f.filter.matches(one) {
				b.Frames = append(b.Frames, one.frame)
			}
		}
	}
	f.next, f.skip, f.at, f.id = f.next+1, 0, e.at, e.after()
	return nil
}
