package runs

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/policy"
	"punctual/internal/runid"
)

// Split lets the schedules of jobs whose runs may overlap go on at once without the runs that were just claimed. Where it
// fails, they go on when the runs end.
func (s Store) Split(ctx context.Context, now time.Time, claimed []*Outcome) error {
	var params db.SplitParams
	var split []*Outcome
	for _, o := range claimed {
		next, ok := o.splits(now)
		if !ok {
			continue
		}
		split = append(split, o)
		params.JobIds = append(params.JobIds, o.Row.JobID)
		params.ScheduledFors = append(params.ScheduledFors, o.Row.ScheduledFor)
		params.Tokens = append(params.Tokens, o.Row.Token)
		params.Revisions = append(params.Revisions, o.Row.Revision)
		params.NextFors = append(params.NextFors, next)
	}
	if len(split) == 0 {
		return nil
	}
	if err := s.Queries.Split(ctx, params); err != nil {
		return fmt.Errorf("let schedules go on without their runs: %w", err)
	}
	for i, o := range split {
		s.Due(o.Row.Queue, params.NextFors[i])
	}
	return nil
}

// splits returns the next occurrence of a job whose runs may overlap, where its schedule is to go on without this run.
func (o *Outcome) splits(now time.Time) (next time.Time, ok bool) {
	row, job := &o.Row, &o.Row.Job
	if !row.CarriesSchedule || row.Attempt > 1 || !policy.MayOverlap(job) || o.computeSchedule() != nil {
		return time.Time{}, false // what cannot be computed, Prepare will say
	}
	if o.misfire(now) != nil {
		return time.Time{}, false // it will be stepped over
	}
	next, o.split = policy.NextWithoutWaiting(job, o.when, row.ScheduledFor, row.RunCount+job.RunCount)
	return next, o.split
}

// CancelEarlier has the runs of a job end that began before this one, where its overlap policy says so, tells the
// instances that execute them, and returns their ids. It does not wait for them.
func (s Store) CancelEarlier(ctx context.Context, o *Outcome) ([]uuid.UUID, error) {
	row := &o.Row
	if row.Job.OverlapPolicy != db.OverlapPolicyCANCELOTHER || row.Trigger != db.RunTriggerSCHEDULE {
		return nil, nil
	}
	canceled, err := s.Queries.CancelEarlier(ctx, db.CancelEarlierParams{JobID: row.JobID, Before: row.ScheduledFor})
	if err != nil {
		return nil, fmt.Errorf("cancel the job's earlier runs: %w", err)
	}
	if len(canceled) == 0 {
		return nil, nil
	}
	ids := make([]uuid.UUID, len(canceled))
	for i, c := range canceled {
		ids[i] = runid.New(c.JobID, c.ScheduledFor)
	}
	s.Due(nil, time.Time{}) // those that waited for another attempt
	err = s.Queries.NotifyCanceled(ctx, db.NotifyCanceledParams{RunIds: ids, Reason: string(db.RunReasonOVERLAP)})
	if err != nil {
		s.Logger.WarnContext(ctx, "instances find out by themselves that runs are to end", "error", err)
	}
	return ids, nil
}
