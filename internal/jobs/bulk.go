package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/runid"
)

// BulkAction is what a bulk change does to each job, as openapi.yaml defines it.
type BulkAction string

// The actions.
const (
	BulkPause  BulkAction = "PAUSE"
	BulkResume BulkAction = "RESUME"
	BulkRun    BulkAction = "RUN"
	BulkPatch  BulkAction = "PATCH"
	BulkDelete BulkAction = "DELETE"
)

const (
	// MaxMatched is up to where a bulk change counts the jobs that are left.
	MaxMatched = 10_000
	// bulkAtOnce is how many jobs are changed at a time. Each takes a connection of those that
	// other requests need, too.
	bulkAtOnce = 4
	// bulkWithin is for how long a request begins to change jobs. It ends early rather than be cut
	// off: by the server, which gives a request 75 s, or by a proxy, which may give it 30 s.
	bulkWithin = 20 * time.Second
)

// Bulk says what to do to which jobs of a namespace.
type Bulk struct {
	Action BulkAction
	Filter Filter
	// Patch is how the jobs change, with BulkPatch.
	Patch Change
	// Reason is why, for people. With BulkPause and BulkResume it becomes the status reason.
	Reason *string
	// PauseUntil is when the jobs go on by themselves, with BulkPause. Nil: they do not.
	PauseUntil *time.Time
	// PauseID is the id of the pause. Default: a new one.
	PauseID uuid.UUID
	// IsDryRun says that nothing is to be changed.
	IsDryRun bool
	// After is the last job of the request before, and Max how many jobs to handle at most.
	After uuid.UUID
	Max   int32
}

// BulkItem is what became of one job.
type BulkItem struct {
	ID   uuid.UUID
	Key  *string
	Name string
	// IsChanged says that it was changed, or would be.
	IsChanged bool
	// Run is the run that was started, if one was.
	Run *uuid.UUID
	// Err is why the job could not be changed: what the change of the single job returns.
	Err error
}

// BulkDone is what became of a bulk change.
type BulkDone struct {
	Items []BulkItem
	// Matched is how many jobs the filter finds after Bulk.After, at most MaxMatched + 1.
	Matched int
	// Last is the last job that was handled, if there are more.
	Last *uuid.UUID
	// PauseID is the id of the pause, with BulkPause.
	PauseID *uuid.UUID
}

// ChangeMany does one thing to each job that a filter finds, in the order of ids, each in a
// transaction of its own. It ends before Max jobs if it takes long, or after an error that is no
// refusal: what was done stays done, and Last tells where to go on. It returns an Invalid if the
// request is wrong whatever the jobs are.
func (s *Service) ChangeMany(ctx context.Context, by access.Caller, b Bulk) (done BulkDone, err error) {
	if err := s.checkBulk(ctx, b); err != nil {
		return done, err
	}
	ids, err := s.Select(ctx, by, b.Filter, b.After, max(b.Max, MaxMatched)+1)
	if err != nil {
		return done, fmt.Errorf("find the jobs: %w", err)
	}
	done.Matched = min(len(ids), MaxMatched+1)
	page := ids[:min(len(ids), int(b.Max))]
	if b.Action == BulkPause {
		if b.PauseID == (uuid.UUID{}) && !b.IsDryRun {
			if b.PauseID, err = uuid.NewV7(); err != nil {
				return done, fmt.Errorf("make the id of a pause: %w", err)
			}
		}
		if b.PauseID != (uuid.UUID{}) {
			done.PauseID = &b.PauseID
		}
	}
	jobs, err := s.queries.ListBulkJobs(ctx, db.ListBulkJobsParams{Namespace: by.Namespace, Ids: page})
	if err != nil {
		return done, fmt.Errorf("read the jobs: %w", err)
	}
	var isCut bool
	if done.Items, isCut = s.changeEach(ctx, by, &b, jobs, time.Now().Add(bulkWithin)); isCut {
		done.Last = &done.Items[len(done.Items)-1].ID
	} else if len(ids) > len(page) {
		done.Last = &page[len(page)-1]
	}
	return done, ctx.Err()
}

// checkBulk returns an Invalid if an end of the pause has passed.
func (s *Service) checkBulk(ctx context.Context, b Bulk) error {
	if b.PauseUntil == nil {
		return nil
	}
	now, err := s.databaseTime(ctx, s.queries)
	if err != nil {
		return err
	}
	return InvalidIfAny(checkPauseUntil(b.PauseUntil, db.JobStatusPAUSED, now))
}

// changeEach changes jobs, some at a time, and begins with no other after an instant. It returns
// what became of those that it has begun with, which come first and are one at least, and whether
// there are others.
func (s *Service) changeEach(
	ctx context.Context, by access.Caller, b *Bulk, jobs []db.ListBulkJobsRow, until time.Time,
) (items []BulkItem, isCut bool) {
	items = make([]BulkItem, len(jobs))
	begun := each(ctx, len(jobs), until, func(ctx context.Context, i int) error {
		item := BulkItem{ID: jobs[i].ID, Key: jobs[i].Key, Name: jobs[i].Name}
		item.IsChanged = b.concerns(bulkState{jobs[i].Status, jobs[i].PauseID, jobs[i].Suspended})
		if item.IsChanged && !b.IsDryRun {
			item.IsChanged, item.Run, item.Err = s.changeOne(ctx, by, b, item.ID)
		}
		items[i] = item
		return item.Err
	})
	return items[:begun], begun < len(jobs)
}

// each calls do for 0, 1, .. n-1, some at a time, and begins with no other after an instant, or
// after an error that is no refusal. It returns how many it has begun with, which is one at least,
// if n is. What has begun is not canceled.
func each(ctx context.Context, n int, until time.Time, do func(ctx context.Context, i int) error) (begun int) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var group errgroup.Group
	group.SetLimit(bulkAtOnce)
	for i := range n {
		if i > 0 && (ctx.Err() != nil || time.Now().After(until)) {
			break
		}
		begun++
		group.Go(func() error {
			if err := do(context.WithoutCancel(ctx), i); err != nil && !isRefusal(err) {
				stop()
			}
			return nil
		})
	}
	_ = group.Wait()
	return begun
}

// bulkState is the part of a job by which a bulk change decides whether there is anything to do.
type bulkState struct {
	status      db.JobStatus
	pauseID     *uuid.UUID
	isSuspended bool
}

// concerns reports whether there may be anything to do to a job.
func (b *Bulk) concerns(job bulkState) bool {
	switch b.Action {
	case BulkPause: // a job that only follows its namespace is to stay paused when that goes on
		return job.status == db.JobStatusACTIVE || job.isSuspended
	case BulkResume:
		of := b.Filter.PauseID
		return job.status == db.JobStatusPAUSED && (of == nil || job.pauseID != nil && *job.pauseID == *of)
	default:
		return true
	}
}

// errOther is the error for a job that a bulk change does not mean any more.
var errOther = errors.New("the job was changed, and the filter does not find it any more")

// checkFilter returns errOther if the locked job was found by a bulk change and has been changed so
// that its definition does not match the filter any more: between the two, other jobs are changed.
func (e *edit) checkFilter() error {
	if e.bulk == nil || e.bulk.Filter.stillMatches(&e.job) {
		return nil
	}
	return errOther
}

// changeOne does to one job what the bulk change says. It leaves a job alone that the filter does
// not find any more.
func (s *Service) changeOne(ctx context.Context, by access.Caller, b *Bulk, id uuid.UUID) (isChanged bool, run *uuid.UUID, err error) {
	switch b.Action {
	case BulkRun:
		at, err := s.begin(ctx, by, id, start{trigger: db.RunTriggerMANUAL, bulk: b})
		switch {
		case errors.Is(err, errOther):
			return false, nil, nil
		case err != nil:
			return false, nil, err
		}
		return true, new(runid.New(id, at)), nil
	case BulkDelete:
		err := s.delete(ctx, by, id, func(e *edit) error {
			e.bulk = b
			return e.checkFilter()
		})
		if errors.Is(err, ErrNotFound) || errors.Is(err, errOther) {
			return false, nil, nil
		}
		return err == nil, nil, err
	default:
		change := b.change()
		_, isChanged, err := s.update(ctx, by, id, func(e *edit) (*Change, error) {
			e.bulk = b
			if e.checkFilter() != nil || !b.concerns(bulkState{e.job.Status, e.job.PauseID, e.job.Suspended}) {
				return nil, nil
			}
			return &change, nil
		})
		return isChanged, nil, err
	}
}

// change returns how a job changes that is concerned.
func (b *Bulk) change() Change {
	status := db.JobStatusACTIVE
	switch b.Action {
	case BulkPatch:
		return b.Patch
	case BulkPause:
		status = db.JobStatusPAUSED
	default:
	}
	change := Change{Status: Given(status), StatusReason: Given(b.Reason)}
	if b.Action == BulkPause {
		change.PauseUntil, change.pauseID = Given(b.PauseUntil), &b.PauseID
	}
	return change
}

// isRefusal reports whether an error says that the request or the state of a job is the reason, and
// not the service.
func isRefusal(err error) bool {
	_, isInvalid := errors.AsType[*Invalid](err)
	_, isConflict := errors.AsType[*Conflict](err)
	return isInvalid || isConflict || errors.Is(err, ErrNotFound) || errors.Is(err, ErrRunNotFound)
}
