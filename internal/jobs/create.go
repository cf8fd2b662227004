package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/access"
)

// Create stores a new job, with the defaults of the contract for what is not given, and its first
// occurrence. It returns an Invalid if the job cannot be.
func (s *Service) Create(ctx context.Context, by access.Caller, given Change) (View, error) {
	now, err := s.queries.DatabaseTime(ctx)
	if err != nil {
		return View{}, fmt.Errorf("read the database's time: %w", err)
	}
	job, err := s.newJob(by, given, now)
	if err != nil {
		return View{}, err
	}
	next, err := first(job, firstSince(job, nil, now))
	if err != nil {
		return View{}, err
	}
	created, err := s.queries.CreateJob(ctx, createParams(job, now, next))
	if err != nil {
		return View{}, fmt.Errorf("store the job: %w", err)
	}
	s.announce(created.QualifiedQueue, next)
	return newView(db.GetJobRow{Job: created, ScheduledFor: &next}), nil
}

// newJob returns the job that a request for a new one stands for.
func (s *Service) newJob(by access.Caller, given Change, now time.Time) (*Definition, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make a job id: %w", err)
	}
	job := &Definition{ID: id, Namespace: by.Namespace, Version: 1, UpdatedBy: by.Actor, Payload: []byte("null"), SecretNames: []string{}, Status: db.JobStatusACTIVE}
	s.Contract.Defaults.applyTo(job)
	given.applyTo(job)
	target := s.Contract.Defaults.Target.Value
	if given.Target.IsGiven {
		target = given.Target.Value
	}
	wrong := complete(job, nil, now)
	faults, err := s.setTarget(job, target, nil)
	if err != nil {
		return nil, err
	}
	wrong = append(append(wrong, faults...), checkGroup(job)...)
	return job, invalid(wrong)
}
