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

// Open returns the runs of a claim, in order. If runs of a job may overlap, it detaches the
// schedule from its run: the next occurrence then does not wait for the end of this one. If that
// fails, the schedule goes on when the run ends, which is logged.
func (s Store) Open(ctx context.Context, now time.Time, rows []db.ClaimRow) []*Claimed {
	claimed := make([]*Claimed, len(rows))
	for i := range rows {
		claimed[i] = newClaimed(&rows[i])
	}
	if err := s.detach(ctx, now, claimed); err != nil {
		s.Logger.ErrorContext(ctx, "could not detach schedules from claimed runs; the next occurrences wait until the runs end",
			"error", err)
	}
	return claimed
}

// detach detaches the schedules of jobs whose runs may overlap from the runs that were just
// claimed.
func (s Store) detach(ctx context.Context, now time.Time, claimed []*Claimed) error {
	var params db.SplitParams
	var detached []*Claimed
	for _, c := range claimed {
		next, ok := c.nextIfDetached(now)
		if !ok {
			continue
		}
		detached = append(detached, c)
		params.JobIds = append(params.JobIds, c.Due.JobID)
		params.ScheduledFors = append(params.ScheduledFors, c.Due.ScheduledFor)
		params.Tokens = append(params.Tokens, c.Due.Token)
		params.Revisions = append(params.Revisions, c.Due.Revision)
		params.NextFors = append(params.NextFors, next)
	}
	if len(detached) == 0 {
		return nil
	}
	if err := s.Queries.Split(ctx, params); err != nil {
		return fmt.Errorf("detach schedules: %w", err)
	}
	for i, c := range detached {
		s.Due(firstQueue(&c.Due), params.NextFors[i])
	}
	return nil
}

// nextIfDetached returns the next occurrence of a job whose runs may overlap, if its schedule is to
// go on without this run.
func (c *Claimed) nextIfDetached(now time.Time) (next time.Time, ok bool) {
	row := &c.Due
	if !row.CarriesSchedule || row.Attempt > 1 || !policy.MayOverlap(&c.Job) || c.computeSchedule() != nil {
		return time.Time{}, false // Prepare reports a schedule that cannot be computed
	}
	if c.misfire(now) != nil {
		return time.Time{}, false // Prepare will skip it
	}
	next, c.isDetached = policy.NextWithoutWaiting(&c.Job, c.when, row.ScheduledFor, row.RunCount+c.Job.RunCount)
	return next, c.isDetached
}

// CancelEarlier cancels the runs that began before these attempts, of jobs whose overlap policy
// says so. It notifies the instances that execute them, and returns their ids. It does not wait for
// them. A failure is logged: the earlier runs go on.
func (s Store) CancelEarlier(ctx context.Context, attempts ...*Attempt) []uuid.UUID {
	var params db.CancelEarlierParams
	for _, a := range attempts {
		if a.Job.OverlapPolicy == db.OverlapPolicyCANCELOTHER && a.Due.Trigger == db.RunTriggerSCHEDULE {
			params.JobIds = append(params.JobIds, a.Due.JobID)
			params.Befores = append(params.Befores, a.Due.ScheduledFor)
		}
	}
	if len(params.JobIds) == 0 {
		return nil
	}
	canceled, err := s.Queries.CancelEarlier(ctx, params)
	if err != nil {
		s.Logger.ErrorContext(ctx, "could not cancel the earlier runs of jobs with CANCEL_OTHER; they go on",
			"jobIds", params.JobIds, "error", err)
		return nil
	}
	if len(canceled) == 0 {
		return nil
	}
	ids := make([]uuid.UUID, len(canceled))
	for i, c := range canceled {
		ids[i] = runid.New(c.JobID, c.ScheduledFor)
	}
	s.Due(nil, time.Time{}) // runs that waited for another attempt are to be ended
	err = s.Queries.NotifyCanceled(ctx, db.NotifyCanceledParams{RunIds: ids, Reason: string(db.RunReasonOVERLAP)})
	if err != nil {
		s.Logger.WarnContext(ctx, "could not notify instances of canceled runs; they notice at their next look", "error", err)
	}
	return ids
}
