package events

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/labels"
)

const (
	// staleAfter bounds how old what an instance knows of startsOn may be when it is used.
	// Instances hear of changes at once; this is for one that hears nothing. A job starts, or
	// starts no longer, on what happens so much after it was changed.
	staleAfter = 5 * time.Second
	// many is from how many jobs on reading them all is work: thousands that are created one after
	// the other must not be read as often. Then one caller at a time reads them, a moment before
	// they are stale or after a change, and no more than a tenth of the time goes into it, as far
	// as staleAfter allows.
	many         = 1000
	refreshAfter = staleAfter * 4 / 5
	restFactor   = 10
)

// subscriptions are the jobs that events start, as they were when they were read. Safe for
// concurrent use.
type subscriptions struct {
	mu      sync.Mutex
	current index
	readAt  time.Time // zero: they have to be read
	// forgotten counts the calls of forget, and isForgotten is whether there was one since readAt.
	// What was read before a call is not taken for fresh after it.
	forgotten   int
	isForgotten bool
	// readers is how many callers are reading; rest is for how long nobody need read again after
	// readAt, of many jobs; zero: there are few.
	readers int
	rest    time.Duration
}

// index finds subscriptions, by namespace.
type index map[string]*listeners

// listeners are the subscriptions of a namespace.
type listeners struct {
	wanted Set
	// byKey are those on the events of jobs with one of some keys. The others have to be asked.
	byKey  map[typeAndKey][]*subscription
	others map[Type][]*subscription
}

type typeAndKey struct {
	kind Type
	key  string
}

// subscription is a job that events start.
type subscription struct {
	job          uuid.UUID
	selector     labels.Selector
	groupSeconds int32
}

// read returns the subscriptions. It reads them if they are stale. Whoever has a transaction lets
// it read with that, so that it need not wait for a second connection.
func (s *subscriptions) read(ctx context.Context, q *db.Queries) (index, error) {
	s.mu.Lock()
	current, forgotten, mayUse := s.current, s.forgotten, s.mayUse()
	if !mayUse {
		s.readers++
	}
	s.mu.Unlock()
	if mayUse {
		return current, nil
	}
	began := time.Now()
	found, count, err := readIndex(ctx, q)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readers--
	if err != nil {
		return nil, err
	}
	if s.rest = 0; count >= many {
		s.rest = restFactor * time.Since(began)
	}
	if s.forgotten == forgotten || s.rest > 0 {
		s.current, s.readAt, s.isForgotten = found, began, s.forgotten != forgotten
	}
	return found, nil
}

// mayUse reports whether what was read last may be used.
func (s *subscriptions) mayUse() bool {
	age := time.Since(s.readAt)
	switch {
	case age >= staleAfter:
		return false
	case s.rest > 0 && (s.readers > 0 || age < s.rest):
		return true
	default:
		return !s.isForgotten && (s.rest == 0 || age < refreshAfter)
	}
}

// forget makes a next use read the subscriptions again.
func (s *subscriptions) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.isForgotten = true
	s.forgotten++
}

// readIndex reads the jobs that events start, and counts them.
func readIndex(ctx context.Context, q *db.Queries) (found index, count int, err error) {
	rows, err := q.ListStartsOn(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("read which jobs events start: %w", err)
	}
	found, err = newIndex(rows)
	return found, len(rows), err
}

func newIndex(rows []db.ListStartsOnRow) (index, error) {
	all := index{}
	for _, row := range rows {
		var on StartsOn
		if err := json.Unmarshal(row.StartsOn, &on); err != nil {
			return nil, fmt.Errorf("read which events start job %s: %w", row.ID, err)
		}
		of := all[row.Namespace]
		if of == nil {
			of = &listeners{byKey: map[typeAndKey][]*subscription{}, others: map[Type][]*subscription{}}
			all[row.Namespace] = of
		}
		if err := of.add(row.ID, &on); err != nil {
			return nil, fmt.Errorf("read which jobs start job %s: %w", row.ID, err)
		}
	}
	return all, nil
}

func (l *listeners) add(job uuid.UUID, on *StartsOn) (err error) {
	sub := &subscription{job: job, groupSeconds: on.GroupWithinSeconds}
	var keys []string
	if on.Jobs != nil {
		keys = on.Jobs.Keys
		if sub.selector, err = labels.ParseSelector(on.Jobs.LabelSelector); err != nil {
			return err
		}
	}
	for _, kind := range on.Events {
		l.wanted |= SetOf(kind)
		for _, key := range keys {
			at := typeAndKey{kind, key}
			l.byKey[at] = append(l.byKey[at], sub)
		}
		if len(keys) == 0 {
			l.others[kind] = append(l.others[kind], sub)
		}
	}
	return nil
}

// started returns what an event starts. A job starts no run of its own.
func (x index) started(e *Event) []*subscription {
	of := x[e.Namespace]
	if of == nil || !of.wanted.Has(e.Type) || (e.Cause != nil && e.Cause.IsTooDeep) {
		return nil
	}
	if e.Job == nil {
		return of.others[e.Type]
	}
	var all []*subscription
	if e.Job.Key != nil {
		all = slices.Clone(of.byKey[typeAndKey{e.Type, *e.Job.Key}])
	}
	for _, sub := range of.others[e.Type] {
		if sub.selector.Matches(e.Job.Labels) {
			all = append(all, sub)
		}
	}
	return slices.DeleteFunc(all, func(sub *subscription) bool { return sub.job == e.Job.ID })
}

// wanted returns the types of events that start jobs of a namespace.
func (x index) wanted(namespace string) Set {
	if of := x[namespace]; of != nil {
		return of.wanted
	}
	return 0
}
