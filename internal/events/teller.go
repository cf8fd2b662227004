package events

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"punctual/gen/db"
)

// Config is what a Teller needs. Zero means default.
type Config struct {
	// Queries reads which jobs events start.
	Queries *db.Queries
	// Wake is called after the commit when there are runs to be made of what events have started.
	// It must not block. Default: they are found by polling.
	Wake func()
	// Follower is told after the commit what happened. Default: nobody follows.
	Follower Follower
}

// Follower looks on, without a promise: what happened while an instance died, it does not hear.
type Follower interface {
	// Wants returns the types of events that somebody follows in a namespace. It is asked for each
	// batch of runs.
	Wants(namespace string) Set
	// Publish passes on what happened. It must not block, and may keep the events.
	Publish(what []Event)
}

// Teller tells what happened: to the jobs that it starts, in the transaction of what happened, and
// to who looks on, after the commit. Make it with New. Safe for concurrent use. A nil Teller tells
// nobody.
type Teller struct {
	Config
	subscriptions subscriptions
}

// New returns a Teller.
func New(c Config) *Teller {
	if c.Wake == nil {
		c.Wake = func() {}
	}
	return &Teller{Config: c}
}

// Tell stores what events start, in the transaction tx of what happened, and returns what to call
// when that is committed; if it is undone, nothing is told. It costs nothing if nobody wants to
// know. The database's time of the events is the caller's to say.
func (t *Teller) Tell(ctx context.Context, tx *db.Queries, what ...Event) (committed func(), err error) {
	if t == nil || len(what) == 0 {
		return func() {}, nil
	}
	known, err := t.subscriptions.read(ctx, tx)
	if err != nil {
		return nil, err
	}
	starts, err := startsOf(known, what)
	if err != nil {
		return nil, err
	}
	if len(starts.JobIds) > 0 {
		if err := tx.AddEventStarts(ctx, starts); err != nil {
			return nil, fmt.Errorf("store what events start: %w", err)
		}
	}
	return func() {
		if len(starts.JobIds) > 0 {
			t.Wake()
		}
		t.Publish(what...)
	}, nil
}

// Wanted returns the types of events of a namespace that somebody wants to know of. Whoever has
// many things to tell asks it first, and makes no events of the others.
func (t *Teller) Wanted(ctx context.Context, namespace string) (Set, error) {
	if t == nil {
		return 0, nil
	}
	known, err := t.subscriptions.read(ctx, t.Queries)
	if err != nil {
		return 0, err
	}
	wanted := known.wanted(namespace)
	if t.Follower != nil {
		wanted |= t.Follower.Wants(namespace)
	}
	return wanted, nil
}

// Starts reports whether one of these events starts a job, so that it has to be told in the
// transaction of what happened. Otherwise Publish is enough.
func (t *Teller) Starts(ctx context.Context, what ...Event) (bool, error) {
	if t == nil || len(what) == 0 {
		return false, nil
	}
	known, err := t.subscriptions.read(ctx, t.Queries)
	if err != nil {
		return false, err
	}
	for i := range what {
		if len(known.started(&what[i])) > 0 {
			return true, nil
		}
	}
	return false, nil
}

// Publish tells who looks on what happened and is committed. Tell does it by itself.
func (t *Teller) Publish(what ...Event) {
	if t != nil && t.Follower != nil && len(what) > 0 {
		t.Follower.Publish(what)
	}
}

// Forget makes the next use read again which jobs events start: one of them has changed, or it may
// have. Announce the name ChangedStartsOn to make the other instances do the same.
func (t *Teller) Forget() {
	if t != nil {
		t.subscriptions.forget()
	}
}

// startsOf returns what stores the starts of events.
func startsOf(known index, what []Event) (starts db.AddEventStartsParams, err error) {
	for i := range what {
		e := &what[i]
		started := known.started(e)
		if len(started) == 0 {
			continue
		}
		raw, err := json.Marshal(e)
		if err != nil {
			return starts, fmt.Errorf("encode an event: %w", err)
		}
		var causedBy uuid.UUID // zero: none
		var depth int16
		if e.Cause != nil {
			causedBy, depth = e.Cause.Run, e.Cause.Depth+1
		}
		for _, sub := range started {
			starts.JobIds = append(starts.JobIds, sub.job)
			starts.Namespaces = append(starts.Namespaces, e.Namespace)
			starts.GroupSeconds = append(starts.GroupSeconds, sub.groupSeconds)
			starts.Events = append(starts.Events, string(raw))
			starts.CausedBys = append(starts.CausedBys, causedBy)
			starts.EventDepths = append(starts.EventDepths, depth)
		}
	}
	return starts, nil
}
