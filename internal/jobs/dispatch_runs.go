package jobs

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/events"
)

// startTogether starts runs that may overlap, however many, with a few statements, and returns the
// instant of the first; zero if there is none. It locks none of the job's rows of due: whatever
// they are, the runs start.
func (e *edit) startTogether(ctx context.Context, starts []start) (at time.Time, err error) {
	if len(starts) == 0 {
		return at, nil
	}
	params := db.StartRunsParams{JobID: e.job.ID, ConcurrencyGroup: e.job.QualifiedGroup, Queue: e.job.FirstQueue}
	if params.ScheduledFors, err = e.freeInstants(ctx, e.now, len(starts)); err != nil {
		return at, err
	}
	for _, what := range starts {
		params.Payloads = append(params.Payloads, string(what.payload))
		params.CausedBys = append(params.CausedBys, *cmp.Or(what.causedBy, &uuid.Nil))
		params.EventDepths = append(params.EventDepths, *what.depth)
	}
	if err := e.StartRuns(ctx, params); err != nil {
		return at, fmt.Errorf("start the runs of events: %w", err)
	}
	return params.ScheduledFors[0], nil
}

// startInTurn starts runs of which each depends on those before it, by the job's overlap policy.
func (e *edit) startInTurn(ctx context.Context, starts []start, did *started) error {
	for _, what := range starts {
		at, canceled, err := e.start(ctx, what)
		if err != nil {
			return fmt.Errorf("start the run of an event: %w", err)
		}
		if did.canceled = append(did.canceled, canceled...); did.at.IsZero() {
			did.at = at
		}
		e.now = at.Add(time.Microsecond) // where the next one looks for a free instant
	}
	return nil
}

// skipAll records runs that events would have started, with why they are not executed.
func (e *edit) skipAll(ctx context.Context, starts []start, reasons []db.RunReason, isSuspended bool) error {
	if len(starts) == 0 {
		return nil
	}
	instants, err := e.freeInstants(ctx, e.now, len(starts))
	if err != nil {
		return err
	}
	for _, at := range []time.Time{instants[0], instants[len(instants)-1]} {
		if err := e.createPartition(ctx, at); err != nil {
			return err
		}
	}
	params := db.SkipRunsParams{JobID: e.job.ID, ScheduledFors: instants, StatusReason: e.job.StatusReason}
	if isSuspended && e.job.Status != db.JobStatusPAUSED {
		params.StatusReason = new(suspendedReason)
	}
	for i, what := range starts {
		params.Payloads = append(params.Payloads, string(what.payload))
		params.CausedBys = append(params.CausedBys, *cmp.Or(what.causedBy, &uuid.Nil))
		params.Reasons = append(params.Reasons, string(reasons[i]))
		e.tellSkipped(events.Run{ScheduledFor: instants[i], Reason: reasons[i], Trigger: what.trigger, Depth: what.depth})
	}
	if err := e.SkipRuns(ctx, params); err != nil {
		return fmt.Errorf("record the runs that events do not start: %w", err)
	}
	e.now = instants[len(instants)-1].Add(time.Microsecond)
	return nil
}

// freeInstants returns the first instants from one on that no run of the job has.
func (e *edit) freeInstants(ctx context.Context, from time.Time, count int) (free []time.Time, err error) {
	for ; len(free) < count; from = from.Add(time.Duration(count) * time.Microsecond) {
		to := from.Add(time.Duration(count-1) * time.Microsecond)
		instants, err := e.takenInstants(ctx, from, to)
		if err != nil {
			return nil, err
		}
		taken := make(map[int64]bool, len(instants)) // by microseconds
		for _, at := range instants {
			taken[at.UnixMicro()] = true
		}
		for at := from; !at.After(to) && len(free) < count; at = at.Add(time.Microsecond) {
			if !taken[at.UnixMicro()] {
				free = append(free, at)
			}
		}
	}
	return free, nil
}

// takenInstants returns the instants between two, which are included, that runs of the job have.
func (e *edit) takenInstants(ctx context.Context, from, to time.Time) ([]time.Time, error) {
	due, err := e.ListDueInstants(ctx, db.ListDueInstantsParams{JobID: e.job.ID, Earliest: from, Latest: to})
	if err != nil {
		return nil, fmt.Errorf("look for runs at the same instants: %w", err)
	}
	stored, err := e.history.ListRunInstants(ctx, db.ListRunInstantsParams{JobID: e.job.ID, Earliest: from, Latest: to})
	if err != nil {
		return nil, fmt.Errorf("look for ended runs at the same instants: %w", err)
	}
	return append(due, stored...), nil
}

// sortStarts sorts events as they happened.
func sortStarts(rows []db.TakeEventStartsRow) {
	slices.SortFunc(rows, func(a, b db.TakeEventStartsRow) int {
		return cmp.Or(a.HappenedAt.Compare(b.HappenedAt), bytes.Compare(a.ID[:], b.ID[:]))
	})
}
