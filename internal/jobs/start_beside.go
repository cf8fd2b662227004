package jobs

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"time"

	"punctual/gen/db"
	"punctual/internal/policy"
)

// RunStart says what run somebody asks for. Zero means default.
type RunStart struct {
	// OverlapPolicy says what happens if another run of the job is open. Default: the job's.
	OverlapPolicy *db.OverlapPolicy
	// Payload is that of the run. Default: the job's.
	Payload json.RawMessage
	// At is when it is due. Default: now.
	At *time.Time
}

const (
	// firstSpread is within which time of its instant a later run is due if another run of the job
	// has that instant, and maxSpread how far that time is extended.
	firstSpread = 64 * time.Millisecond
	maxSpread   = time.Second
)

// overlapOf returns what happens if another run of the job is open.
func (e *edit) overlapOf(what start) db.OverlapPolicy {
	if what.policy != nil {
		return *what.policy
	}
	return e.job.OverlapPolicy
}

// laterInstant returns the instant of a run that is due later, or the zero instant for one that is
// due now. It returns an Invalid if the run cannot be due then.
func (e *edit) laterInstant(what start) (time.Time, error) {
	switch {
	case what.at == nil:
		return time.Time{}, nil
	case what.at.Before(e.now.Add(-justPassed)):
		return time.Time{}, &Invalid{[]Field{{"startAt", InThePast, "must not have passed by more than a minute"}}}
	case !what.at.After(e.now):
		return time.Time{}, nil
	case e.overlapOf(what) != db.OverlapPolicyALLOWALL:
		return time.Time{}, &Invalid{[]Field{{
			"startAt", Conflicting, "a later instant needs the overlap policy ALLOW_ALL, of the job or of this request",
		}}}
	default:
		return what.at.Truncate(time.Microsecond), nil
	}
}

// startBeside starts a run that depends on no other run of the job, now or later, and returns its
// instant. The other runs, of which a job without a schedule may have many, are not locked.
func (e *edit) startBeside(ctx context.Context, what start, later time.Time) (time.Time, error) {
	var at time.Time
	var err error
	if later.IsZero() {
		var free []time.Time
		if free, err = e.freeInstants(ctx, e.now, 1); err == nil {
			at = free[0]
		}
	} else {
		at, err = e.freeLater(ctx, later)
	}
	if err != nil {
		return at, err
	}
	return at, e.addBeside(ctx, what, at)
}

// addBeside stores a run that is to be executed in a row of its own.
func (e *edit) addBeside(ctx context.Context, what start, at time.Time) error {
	return e.StartRun(ctx, db.StartRunParams{
		JobID: e.job.ID, ScheduledFor: at, Trigger: what.trigger, RetryOf: what.retryOf,
		Payload: what.payload, CausedBy: what.causedBy, EventDepth: what.depth,
		ConcurrencyGroup: e.job.QualifiedGroup, Queue: e.job.FirstQueue,
	})
}

// freeLater returns an instant to come that no run of the job has, and to which its schedule does
// not come: the one that is asked for, or one that is a fraction of a second later. Thousands of
// runs may be asked for at one instant, so it tries at random.
func (e *edit) freeLater(ctx context.Context, later time.Time) (time.Time, error) {
	when, err := policy.Schedule(&e.job)
	if err != nil {
		return later, err
	}
	at := later
	for spread := firstSpread; ; spread = min(2*spread, maxSpread) {
		next, isDue := when.Next(at.Add(-time.Microsecond))
		taken, err := e.takenInstants(ctx, at, at)
		if err != nil {
			return at, err
		}
		if len(taken) == 0 && (!isDue || !next.Equal(at)) {
			return at, nil
		}
		at = later.Add(rand.N(spread).Truncate(time.Microsecond)) //nolint:gosec // spreading needs no secrecy
	}
}
