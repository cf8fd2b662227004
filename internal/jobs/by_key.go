package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/internal/access"
)

// Condition says what has to be true of a job for a request about it. The zero Condition says
// nothing.
type Condition struct {
	// IsNew asks for a job that there is not.
	IsNew bool
	// Exists asks for a job that there is, with one of Versions if there are any.
	Exists   bool
	Versions []int32
}

// check returns an Exists or a VersionChanged. current is the job's version, or 0 if there is none.
func (c Condition) check(current int32) error {
	switch {
	case c.IsNew && current > 0:
		return &Exists{current}
	case c.Exists && (current == 0 || len(c.Versions) > 0 && !slices.Contains(c.Versions, current)):
		return &VersionChanged{current}
	}
	return nil
}

// GetByKey returns the job that has a key, or ErrNotFound.
func (s *Service) GetByKey(ctx context.Context, by access.Caller, key string) (View, error) {
	id, err := s.find(ctx, by, key)
	if err != nil {
		return View{}, err
	}
	return s.Get(ctx, by, id)
}

// DeleteByKey is Delete for the job that has a key.
func (s *Service) DeleteByKey(ctx context.Context, by access.Caller, key string, only ...int32) error {
	err := s.transact(ctx, func(e edit) (err error) {
		e.by, e.operation = by, "deleteJobByKey"
		if err := e.lockByKey(ctx, key); err != nil {
			return err
		}
		return e.begin(ctx, func(e edit) error {
			if err := e.checkVersion(only); err != nil {
				return err
			}
			return s.remove(ctx, &e)
		})
	})
	if err == nil {
		s.announceNow()
	}
	return err
}

// find returns the id of the job that has a key, or ErrNotFound.
func (s *Service) find(ctx context.Context, by access.Caller, key string) (uuid.UUID, error) {
	id, err := s.queries.FindJob(ctx, db.FindJobParams{Namespace: by.Namespace, Key: key})
	if errors.Is(err, pgx.ErrNoRows) {
		return id, ErrNotFound
	}
	if err != nil {
		return id, fmt.Errorf("find the job by its key: %w", err)
	}
	return id, nil
}

// lockByKey locks the job that has a key. It returns ErrNotFound if there is none.
func (e *edit) lockByKey(ctx context.Context, key string) (err error) {
	e.job, err = e.LockJobByKey(ctx, db.LockJobByKeyParams{Namespace: e.by.Namespace, Key: key})
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("lock the job by its key: %w", err)
	}
	return nil
}

// Put makes the job that has a key be as a request for a new one says, or creates it, and reports
// whether it did. Its errors are those of Create and Update, an Exists, and a VersionChanged. The
// request may repeat the key.
func (s *Service) Put(
	ctx context.Context, by access.Caller, key string, given Change, when Condition,
) (view View, isNew bool, err error) {
	if given.Key.IsGiven && (given.Key.Value == nil || *given.Key.Value != key) {
		return View{}, false, &Invalid{[]Field{{"key", Conflicting, "must be the key in the path, or be left out"}}}
	}
	given.Key = Given(&key)
	var done effect
	err = s.transact(ctx, func(e edit) error {
		e.by, e.operation = by, "putJobByKey"
		found := e.lockByKey(ctx, key)
		if isNew = errors.Is(found, ErrNotFound); found != nil && !isNew {
			return found
		}
		if err := when.check(e.job.Version); err != nil {
			return err
		}
		return e.begin(ctx, func(e edit) (err error) {
			if e.calendars, err = calendarsOf(ctx, e.Queries, by.Namespace, given); err != nil {
				return err
			}
			if isNew {
				view, err = s.createWith(ctx, &e, given)
			} else {
				view, done, err = s.replace(ctx, &e, given)
			}
			return err
		})
	})
	switch {
	case err != nil:
		return View{}, false, err
	case isNew:
		if view.NextRunAt != nil {
			s.announce(view.Job.FirstQueue, *view.NextRunAt)
		}
	default:
		s.announceEdit(view, done)
	}
	s.tryReadEnds(ctx, &view)
	return view, isNew, nil
}

// createWith is Create in a transaction, at its time.
func (s *Service) createWith(ctx context.Context, e *edit, given Change) (View, error) {
	if err := e.makeRoom(ctx, 1); err != nil {
		return View{}, err
	}
	e.after.startsOn = given.StartsOn.Value != nil
	return s.createAt(ctx, storing{e.Queries, e.Queries}, e.by, e.operation, given, e.calendars, instant{e.now, false})
}

// replace makes the locked job be as a request for a new one says.
func (s *Service) replace(ctx context.Context, e *edit, given Change) (View, effect, error) {
	after, wrong, err := s.replaced(e, given)
	if err == nil {
		err = InvalidIfAny(wrong)
	}
	if err != nil {
		return View{}, 0, err
	}
	done := effectOf(&e.job, after)
	if err := s.storeVersion(ctx, e, after, done); err != nil {
		return View{}, 0, err
	}
	row, err := e.GetJob(ctx, db.GetJobParams{ID: e.job.ID, Namespace: e.by.Namespace})
	if err != nil {
		return View{}, 0, fmt.Errorf("read the job: %w", err)
	}
	return newView(row), done, nil
}
