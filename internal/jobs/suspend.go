package jobs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/policy"
)

const (
	suspendedReason = "The namespace is suspended."
	// pageOfSuspended is how many jobs are read at a time that are to be paused or resumed.
	pageOfSuspended = 200
	// suspendedAtOnce is how many of them are changed at a time. Each takes a connection of those
	// that claims and completions need, too.
	suspendedAtOnce = 4
)

// FollowNamespaces does what the state of namespaces asks for: it pauses the active jobs of
// suspended ones, resumes the jobs that were paused because of that, and deletes what was created
// in the moment in which its namespace was deleted. It returns how many jobs it changed.
//
// The state in the database says what is left to do, so it may be cut off after any job, and done
// again by whoever comes next. Several instances may do it at once: they take the jobs in different
// orders, and one that finds a job done leaves it.
func (s *Service) FollowNamespaces(ctx context.Context) (changed int64, err error) {
	failed := failures{ids: []uuid.UUID{}}
	for {
		behind, err := s.queries.ListNamespacesBehind(ctx)
		if err != nil {
			return changed, fmt.Errorf("look for namespaces whose jobs are to be paused or resumed: %w", err)
		}
		tried := 0
		for _, namespace := range behind {
			page, done, err := s.follow(ctx, namespace, &failed)
			tried, changed = tried+page, changed+done
			if err != nil {
				return changed, err
			}
		}
		if tried == 0 || ctx.Err() != nil {
			return changed, errors.Join(failed.err, ctx.Err())
		}
	}
}

// failures are the jobs that could not be changed. They must not keep the others from it.
type failures struct {
	mu  sync.Mutex
	ids []uuid.UUID
	err error // of the first
}

// follow changes a page of the jobs of a namespace. It returns how many there were, and how many of
// them it has changed.
func (s *Service) follow(ctx context.Context, behind db.ListNamespacesBehindRow, failed *failures) (page int, changed int64, err error) {
	by := access.System(behind.Name)
	by.Limits.RunRetentionDays = behind.RunRetentionDays
	ids, err := s.queries.ListJobsBehind(ctx, db.ListJobsBehindParams{
		Namespace: behind.Name, IsDeleted: behind.IsDeleted, IsSuspended: behind.IsSuspended, Failed: failed.ids, MaxRows: pageOfSuspended,
	})
	if err != nil {
		return 0, 0, fmt.Errorf("list the jobs of %s that are to be paused or resumed: %w", behind.Name, err)
	}
	change := s.goOn
	switch {
	case behind.IsDeleted:
		change = func(ctx context.Context, by access.Caller, id uuid.UUID) error { return s.Delete(ctx, by, id) }
	case behind.IsSuspended:
		change = s.suspend
	}
	return len(ids), failed.changeEach(ids, func(i int) error { return change(ctx, by, ids[i]) }), nil
}

// changeEach changes jobs, some at a time, and notes those that could not be changed. The order is
// random, so that instances that do the same at once seldom wait for each other. It returns how
// many jobs it has changed.
func (f *failures) changeEach(ids []uuid.UUID, change func(i int) error) (changed int64) {
	var group errgroup.Group
	group.SetLimit(suspendedAtOnce)
	for _, i := range rand.Perm(len(ids)) { //nolint:gosec // spreading needs no secrecy
		group.Go(func() error {
			err := change(i)
			f.mu.Lock()
			defer f.mu.Unlock()
			if err == nil || errors.Is(err, ErrNotFound) {
				changed++
				return nil
			}
			f.ids = append(f.ids, ids[i])
			if f.err == nil {
				f.err = fmt.Errorf("job %s: %w", ids[i], err)
			}
			return nil
		})
	}
	_ = group.Wait() // each job's error is noted
	return changed
}

// suspend pauses an active job and marks it, so that goOn resumes it.
func (s *Service) suspend(ctx context.Context, by access.Caller, id uuid.UUID) error {
	return s.pause(ctx, by, id, suspendedReason, true)
}

// isNamespaceSuspended reports whether the job's namespace is suspended now. It may have changed
// since the jobs were listed that are to follow it, and that may have been minutes ago.
func (e *edit) isNamespaceSuspended(ctx context.Context) (bool, error) {
	namespace, err := e.GetNamespace(ctx, e.job.Namespace)
	if err != nil {
		return false, fmt.Errorf("read the namespace: %w", err)
	}
	return namespace.SuspendedAt != nil, nil
}

// goOn resumes a job that suspend has paused. A job that somebody has paused or resumed since then
// has no mark any more.
func (s *Service) goOn(ctx context.Context, by access.Caller, id uuid.UUID) error {
	var after *Definition
	var now time.Time
	err := s.edit(ctx, by, id, func(e edit) error {
		if isSuspended, err := e.isNamespaceSuspended(ctx); err != nil || isSuspended || !e.job.Suspended {
			return err
		}
		after, now = new(e.job), e.now
		after.Suspended = false
		if _, err := policy.Schedule(after); err != nil {
			return err // nothing would be due, and the job must not be completed because of that
		}
		if after.Status == db.JobStatusPAUSED {
			after.Status, after.StatusReason = db.JobStatusACTIVE, nil
		}
		if err := s.store(ctx, &e, after, effectOf(&e.job, after)); err != nil {
			return err
		}
		if err := e.auditJob(ctx, "resumeJob", result{}); err != nil {
			return err
		}
		return e.endResumed(ctx, after)
	})
	if err == nil && after != nil {
		s.announce(after.FirstQueue, now)
	}
	return err
}
