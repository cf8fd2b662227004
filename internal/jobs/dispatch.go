package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/database"
	"punctual/internal/events"
)

const (
	// maxTogether is how many runs one transaction starts of a job whose runs may overlap. Others
	// wait for its lock meanwhile.
	maxTogether = 1000
	// maxInTurn is the same for a job of which each run depends on those before it.
	maxInTurn = 100
)

// StartByEvents makes runs of what events have started. It returns after how long the next is to be
// made that it knows of, at most most.
//
// Several instances may do it at once: each takes events under the lock of the job that they start,
// and deletes them in the transaction that stores the run. So each makes exactly one run, whoever
// dies.
func (s *Service) StartByEvents(ctx context.Context, most time.Duration) (next time.Duration, err error) {
	left := failures{ids: []uuid.UUID{}}
	for {
		rows, err := database.PlanEach(s.Pool).ListStarted(ctx, left.ids)
		if err != nil {
			return 0, fmt.Errorf("look for jobs that events start: %w", err)
		}
		next = most
		ready, ids := rows[:0:0], []uuid.UUID{}
		for _, row := range rows {
			if row.ReadyIn > 0 {
				next = min(next, row.ReadyIn)
				continue
			}
			ready, ids = append(ready, row), append(ids, row.JobID)
		}
		var full []uuid.UUID
		var mu sync.Mutex
		left.changeEach(ids, func(i int) error {
			isFull, err := s.startByEvents(ctx, access.System(ready[i].Namespace), ids[i], ready[i].IsSuspended)
			if isFull {
				mu.Lock()
				defer mu.Unlock()
				full = append(full, ids[i])
			}
			return err
		})
		if left.ids = append(left.ids, full...); len(ids) == 0 || ctx.Err() != nil {
			return next, errors.Join(left.err, ctx.Err())
		}
	}
}

// startByEvents makes runs of the first events that start a job. isFull says that the job has as
// many open runs as its maxRuns leaves: what is left waits for one of them to end.
func (s *Service) startByEvents(ctx context.Context, by access.Caller, id uuid.UUID, isSuspended bool) (isFull bool, err error) {
	var did started
	err = s.edit(ctx, by, id, func(e edit) (err error) {
		did, err = e.startByEvents(ctx, isSuspended)
		return err
	})
	if errors.Is(err, ErrNotFound) { // it is deleted, or its namespace is
		if err := s.queries.DropEventStarts(ctx, id); err != nil {
			return false, fmt.Errorf("forget the events of a deleted job: %w", err)
		}
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !did.at.IsZero() {
		s.announce(did.queue, did.at)
	}
	s.announceCanceled(ctx, did.canceled, db.RunReasonOVERLAP)
	if s.EventsStarted != nil && did.events > 0 {
		s.EventsStarted(did.events)
	}
	return did.isFull, nil
}

// started is what events have started of a job.
type started struct {
	// at is the instant of the first run; zero: there is none. queue is where it waits.
	at       time.Time
	queue    *string
	canceled []uuid.UUID
	isFull   bool
	// events is how many events have started runs, executed or skipped.
	events int
}

func (e *edit) startByEvents(ctx context.Context, isSuspended bool) (did started, err error) {
	if e.job.StartsOn == nil || e.job.Status == db.JobStatusCOMPLETED {
		if err := e.DropEventStarts(ctx, e.job.ID); err != nil {
			return did, fmt.Errorf("forget the events of a job that they do not start: %w", err)
		}
		return did, nil
	}
	left, open, err := e.runsLeft(ctx)
	if err != nil {
		return did, err
	}
	if left == 0 && open == 0 {
		// The instance died whose run was the last one that the job was to have.
		_, err := e.completeUnscheduled(ctx)
		return did, err
	}
	if left == 0 {
		return started{isFull: true}, nil
	}
	starts, err := e.takeStarts(ctx, left, &did)
	if err != nil {
		return did, err
	}
	var run, skip []start
	var reasons []db.RunReason
	for _, what := range starts {
		if reason := e.whySkipped(what, isSuspended); reason != "" {
			skip, reasons = append(skip, what), append(reasons, reason)
		} else {
			run = append(run, what)
		}
	}
	if err := e.skipAll(ctx, skip, reasons, isSuspended); err != nil {
		return did, err
	}
	did.queue = e.job.FirstQueue
	if e.job.OverlapPolicy == db.OverlapPolicyALLOWALL {
		did.at, err = e.startTogether(ctx, run)
		return did, err
	}
	return did, e.startInTurn(ctx, run, &did)
}

// whySkipped returns why a run that an event starts is not executed, or the empty reason.
func (e *edit) whySkipped(what start, isSuspended bool) db.RunReason {
	switch {
	case *what.depth >= events.MaxDepth:
		return db.RunReasonEVENTDEPTH
	case isSuspended || e.job.Status == db.JobStatusPAUSED:
		return db.RunReasonJOBPAUSED
	}
	return ""
}

// runsLeft returns how many runs a transaction may start of a job, at most: its maxRuns counts
// those that are open, too. It returns how many are, if that matters.
func (e *edit) runsLeft(ctx context.Context) (left int, open int64, err error) {
	most := maxInTurn
	if e.job.OverlapPolicy == db.OverlapPolicyALLOWALL {
		most = maxTogether
	}
	if e.job.MaxRuns == nil || e.job.Status != db.JobStatusACTIVE {
		return most, 0, nil
	}
	open, err = e.CountOpen(ctx, e.job.ID)
	if err != nil {
		return 0, 0, fmt.Errorf("count the job's open runs: %w", err)
	}
	return int(max(0, min(int64(most), *e.job.MaxRuns-e.job.RunCount-open))), open, nil
}

// takeStarts takes the first events that start a job, or those that start one run together.
func (e *edit) takeStarts(ctx context.Context, most int, did *started) ([]start, error) {
	var on events.StartsOn
	if err := json.Unmarshal(e.job.StartsOn, &on); err != nil {
		return nil, fmt.Errorf("read which events start the job: %w", err)
	}
	if on.GroupWithinSeconds > 0 {
		return e.takeGroup(ctx, did)
	}
	rows, err := e.history.TakeEventStarts(ctx, db.TakeEventStartsParams{JobID: e.job.ID, MaxRows: int32(most)})
	if err != nil {
		return nil, fmt.Errorf("take what events start: %w", err)
	}
	did.events = len(rows)
	sortStarts(rows)
	starts := make([]start, len(rows))
	for i := range rows {
		row := &rows[i]
		starts[i] = start{trigger: db.RunTriggerEVENT, payload: row.Event, causedBy: row.CausedBy, depth: &row.EventDepth}
	}
	return starts, nil
}

// takeGroup takes the events that start one run together.
func (e *edit) takeGroup(ctx context.Context, did *started) ([]start, error) {
	row, err := e.history.TakeEventGroup(ctx, db.TakeEventGroupParams{JobID: e.job.ID, MaxBytes: events.MaxGroupBytes})
	if err != nil {
		return nil, fmt.Errorf("take the events that start one run: %w", err)
	}
	if row.Count == 0 {
		return nil, nil // another instance was quicker
	}
	did.events = int(row.Count)
	payload, err := events.Group(e.now, row.Count, row.Events)
	if err != nil {
		return nil, err
	}
	what := start{trigger: db.RunTriggerEVENT, payload: payload, depth: &row.EventDepth}
	if row.CausedBy != uuid.Nil {
		what.causedBy = &row.CausedBy
	}
	return []start{what}, nil
}
