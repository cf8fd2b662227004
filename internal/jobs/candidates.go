package jobs

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/access"
)

// candidates are jobs that can be as a filter says of the last run and of health. These stand in
// the due rows of a job, so the indexes of jobs do not lead there; small indexes of due do.
type candidates struct {
	ids []uuid.UUID
	// areNamed is whether an index names them. If not, they are most jobs.
	areNamed bool
	// areAll is whether ids are all there are.
	areAll bool
}

// candidatesOf returns the candidates for a filter, if there are at most so many, or some of them.
func (s *search) candidatesOf(ctx context.Context, f *Filter, most int32) (c candidates, err error) {
	if len(f.LastRunStatuses) > 0 && !slices.Contains(f.LastRunStatuses, db.RunStatusSUCCEEDED) {
		return bounded(most)(s.q.ListNotSucceeded(ctx, db.ListNotSucceededParams{
			Namespace: s.namespace, Statuses: arrayOf(f.LastRunStatuses), MaxRows: most + 1,
		}))
	}
	if len(f.Health) == 0 || slices.Contains(f.Health, HealthOK) || slices.Contains(f.Health, HealthCompleted) {
		return c, nil
	}
	c = candidates{ids: []uuid.UUID{}, areNamed: true, areAll: true} // not nil, which would be all jobs
	for _, health := range f.Health {
		some, err := s.candidatesFor(ctx, health, most)
		if err != nil {
			return c, err
		}
		c.ids, c.areAll = append(c.ids, some.ids...), c.areAll && some.areAll
	}
	return c, nil
}

// candidatesFor is candidatesOf for one state of health that an index names.
func (s *search) candidatesFor(ctx context.Context, health Health, most int32) (candidates, error) {
	switch health {
	case HealthFailing:
		return bounded(most)(s.q.ListNotSucceeded(ctx, db.ListNotSucceededParams{
			Namespace: s.namespace, IsFailing: true, MaxRows: most + 1,
		}))
	case HealthLate:
		return bounded(most)(s.q.ListLate(ctx, db.ListLateParams{
			Namespace: s.namespace, FirstQueue: access.Qualified(s.namespace, ""), LastQueue: access.QueuesEnd(s.namespace), MaxRows: most + 1,
		}))
	case HealthNeverRan:
		return bounded(most)(s.q.ListNeverRan(ctx, db.ListNeverRanParams{Namespace: s.namespace, MaxRows: most + 1}))
	default: // HealthPaused: the others have no index
		return bounded(most)(s.q.ListPaused(ctx, db.ListPausedParams{Namespace: s.namespace, MaxRows: most + 1}))
	}
}

// bounded makes candidates of what a statement has returned that was asked for one more than most.
func bounded(most int32) func([]uuid.UUID, error) (candidates, error) {
	return func(ids []uuid.UUID, err error) (candidates, error) {
		if err != nil {
			return candidates{}, fmt.Errorf("look for the jobs in a state: %w", err)
		}
		if ids == nil {
			ids = []uuid.UUID{}
		}
		return candidates{ids: ids, areNamed: true, areAll: len(ids) <= int(most)}, nil
	}
}
