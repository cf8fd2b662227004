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

// staleAfter bounds how old what an instance knows of startsOn may be when it is used. Instances
// hear of changes at once; this is for one that hears nothing. A job starts, or starts no longer,
// on what happens so much after it was changed.
const staleAfter = 5 * time.Second

// subscriptions are the jobs that events start, as they were when they were read. Safe for
// concurrent use.
type subscriptions struct {
	mu      sync.Mutex
	current index
	readAt  time.Time // zero: they have to be read
	// forgotten counts the calls of forget. What was read before one is not kept after it.
	forgotten int
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
	current, isFresh, forgotten := s.current, time.Since(s.readAt) < staleAfter, s.forgotten
	s.mu.Unlock()
	if isFresh {
		return current, nil
	}
	began := time.Now()
	rows, err := q.ListStartsOn(ctx)
	if err != nil {
		return nil, fmt.Errorf("read which jobs events start: %w", err)
	}
	found, err := newIndex(rows)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.forgotten == forgotten {
		s.current, s.readAt = found, began
	}
	return found, nil
}

// forget makes the next use read the subscriptions again.
func (s *subscriptions) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readAt = time.Time{}
	s.forgotten++
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
