package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/audit"
	"punctual/internal/executor"
)

// Create stores a new job, with the defaults of the contract for what is not given, and its first
// occurrence. It returns an Invalid if the job cannot be, a KeyExists if another job has its key,
// or a Conflict if the namespace does not allow it.
//
// The first occurrence is computed from the database's time. To ask for it would be a second round
// trip, so it is estimated; the statement that stores the job refuses an estimate that is not good.
// A job that an estimate makes invalid is looked at again, too.
func (s *Service) Create(ctx context.Context, by access.Caller, given Change) (View, error) {
	if err := mayBegin(by); err != nil {
		return View{}, err
	}
	conn, err := s.Pool.Acquire(ctx) // before the time is estimated: this may take a while
	if err != nil {
		return View{}, err
	}
	defer conn.Release()
	var view View
	err = withRoom(ctx, conn, by, 1, given.namesCalendars(), func(tx storing) (err error) {
		view, err = s.create(ctx, tx, by, given)
		return err
	})
	if err != nil {
		return View{}, err
	}
	if view.NextRunAt != nil {
		s.announce(view.Job.FirstQueue, *view.NextRunAt)
	}
	if view.Job.StartsOn != nil {
		s.changedStartsOn()
	}
	return view, nil
}

// storing are the statements of a transaction. What is only executed may be sent later, with the
// next statement that returns something: in one round trip.
type storing struct {
	*db.Queries
	later *db.Queries
}

// create is Create, without what is before the statements and after the commit.
func (s *Service) create(ctx context.Context, tx storing, by access.Caller, given Change) (View, error) {
	if connection, ok := given.Target.Value["connection"].(string); ok {
		if err := holdConnection(ctx, tx.Queries, by.Namespace, connection); err != nil { // CreateJob looks again
			return View{}, err
		}
	}
	known, err := calendarsOf(ctx, tx.Queries, by.Namespace, given)
	if err != nil {
		return View{}, err
	}
	view, err := s.createAt(ctx, tx, by, "createJob", given, known, instant{s.clock.Now().Local(), true}) // local, as all that is read
	if _, isInvalid := errors.AsType[*Invalid](err); isInvalid || errors.Is(err, pgx.ErrNoRows) {
		var now time.Time
		if now, err = s.databaseTime(ctx, tx.Queries); err == nil {
			view, err = s.createAt(ctx, tx, by, "createJob", given, known, instant{now, false})
		}
		if errors.Is(err, pgx.ErrNoRows) { // it is not about the time
			err = audit.WhyRefused(ctx, tx.Queries, by.Namespace)
		}
	}
	return view, err
}

// instant is a time of the database's clock, asked for or estimated.
type instant struct {
	time.Time
	isEstimate bool
}

// createAt is Create at an instant, without the announcement. It returns pgx.ErrNoRows for an
// estimate that is not good enough, and a KeyExists. operation is its name for the audit.
func (s *Service) createAt(
	ctx context.Context, tx storing, by access.Caller, operation string, given Change, known calendars, now instant,
) (View, error) {
	job, err := s.newJob(by, given, known, now.Time)
	if err != nil {
		return View{}, err
	}
	next, err := first(job, firstSince(job, nil, now.Time))
	if err != nil {
		return View{}, err
	}
	params := createParams(job, now.Time)
	params.IsEstimate, params.RequestID = now.isEstimate, by.RequestID
	if connection := executor.ConnectionOf(job.Target); connection != "" {
		params.Connection = &connection
	}
	created, err := tx.storeNew(ctx, params, next, operation)
	if err != nil {
		return View{}, keyConflict(fmt.Errorf("store the job: %w", err), job.Key)
	}
	s.clock.Observe(created.ReadAt)
	return newView(db.GetJobRow{Job: created.Job, ScheduledFor: firstOrNil(next)}), nil
}

// storeNew stores a new job, its first occurrence (zero: it has none), when it is to succeed, and
// who has created it.
func (tx storing) storeNew(
	ctx context.Context, params db.CreateJobParams, first time.Time, operation string,
) (created db.ReadCreatedRow, err error) {
	if err := tx.later.CreateJob(ctx, params); err != nil {
		return created, err
	}
	if !first.IsZero() {
		if err := tx.later.CreateFirst(ctx, db.CreateFirstParams{ID: params.ID, ScheduledFor: first}); err != nil {
			return created, err
		}
	}
	if params.ExpectSuccessWithinSeconds != nil {
		if err := tx.later.CreateExpectation(ctx, params.ID); err != nil {
			return created, err
		}
	}
	err = tx.later.AuditCreation(ctx, db.AuditCreationParams{ID: params.ID, Operation: operation, RequestID: params.RequestID})
	if err != nil {
		return created, err
	}
	return tx.ReadCreated(ctx, params.ID)
}

// databaseTime asks for the database's time.
func (s *Service) databaseTime(ctx context.Context, tx *db.Queries) (time.Time, error) {
	now, err := tx.DatabaseTime(ctx)
	if err != nil {
		return now, fmt.Errorf("read the database's time: %w", err)
	}
	s.clock.Observe(now)
	return now, nil
}

// newJob returns the job that a request for a new one stands for.
func (s *Service) newJob(by access.Caller, given Change, known calendars, now time.Time) (*Definition, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make a job id: %w", err)
	}
	job := &Definition{ID: id, Namespace: by.Namespace, Version: 1, UpdatedBy: by.Actor, SecretNames: []string{}, Status: db.JobStatusACTIVE}
	wrong, err := s.define(job, nil, by, given, known, now)
	if err != nil {
		return nil, err
	}
	return job, InvalidIfAny(wrong)
}

// define makes a job be as a request for a new one says, with the defaults of the contract for what
// is not given. before is the job as it was, or nil if it is new. It returns the fields that are
// wrong.
func (s *Service) define(
	job, before *Definition, by access.Caller, given Change, known calendars, now time.Time,
) ([]Field, error) {
	job.Payload, job.OverlapPolicy = []byte("null"), db.OverlapPolicySKIP
	if given.OnDemand.Value || given.StartsOn.Value != nil {
		job.OverlapPolicy = db.OverlapPolicyALLOWALL
	}
	s.Contract.Defaults.applyTo(job)
	given.applyTo(job)
	target := s.Contract.Defaults.Target.Value
	if given.Target.IsGiven {
		target = given.Target.Value
	}
	wrong := slices.Concat(complete(job, before, now), known.give(job, before), checkPace(job, before, by))
	faults, err := s.setTarget(job, target, before)
	return slices.Concat(wrong, faults, completeGroup(job), checkPlaceholders(job)), err
}
