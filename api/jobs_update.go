package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"punctual/gen/api"
	"punctual/gen/db"
	"punctual/internal/schedule"
)

// UpdateJob changes what the request names, and reschedules the job where that matters.
func (s *server) UpdateJob(ctx context.Context, r api.UpdateJobRequestObject) (api.UpdateJobResponseObject, error) {
	var row jobRow
	err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		q := s.queries.WithTx(tx)
		locked, err := q.LockJob(ctx, r.Id)
		if err != nil {
			return err
		}
		before, now := locked.Job, locked.LockedAt
		after := changed(before, *r.Body, now)
		var lastRunAt *time.Time
		if after.Status != before.Status || after.IntervalSeconds != before.IntervalSeconds {
			if lastRunAt, err = reschedule(ctx, q, before, after, now); err != nil {
				return err
			}
		}
		if err := q.UpdateJob(ctx, db.UpdateJobParams{
			ID: after.ID, Name: after.Name, IntervalSeconds: after.IntervalSeconds, AnchorAt: after.AnchorAt,
			Payload: after.Payload, Status: after.Status, LastRunAt: lastRunAt,
		}); err != nil {
			return err
		}
		row, err = q.GetJob(ctx, r.Id)
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return api.UpdateJob404ApplicationProblemPlusJSONResponse{
			NotFoundApplicationProblemPlusJSONResponse: notFound(ctx, "job"),
		}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("update job: %w", err)
	}
	if row.ScheduledFor != nil {
		s.Announce(*row.ScheduledFor, row.Job.UpdatedAt)
	}
	return api.UpdateJob200JSONResponse(encodeJob(row)), nil
}

// DeleteJob takes the job out of sight and off the schedule.
func (s *server) DeleteJob(ctx context.Context, r api.DeleteJobRequestObject) (api.DeleteJobResponseObject, error) {
	err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		q := s.queries.WithTx(tx)
		locked, err := q.LockJob(ctx, r.Id)
		if err != nil {
			return err
		}
		if _, err := unschedule(ctx, q, locked.Job, locked.LockedAt, db.RunReasonJOBDELETED); err != nil {
			return err
		}
		return q.MarkJobDeleted(ctx, r.Id)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return api.DeleteJob404ApplicationProblemPlusJSONResponse{
			NotFoundApplicationProblemPlusJSONResponse: notFound(ctx, "job"),
		}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("delete job: %w", err)
	}
	return api.DeleteJob204Response{}, nil
}

// changed returns the job as the request wants it. A new interval counts from the last instant of the old grid.
func changed(job db.Job, to api.JobUpdate, now time.Time) db.Job {
	if to.Name != nil {
		job.Name = *to.Name
	}
	if to.Payload != nil {
		job.Payload = to.Payload
	}
	if to.Status != nil {
		job.Status = db.JobStatus(*to.Status)
	}
	if to.IntervalInSeconds != nil && *to.IntervalInSeconds != job.IntervalSeconds {
		job.AnchorAt = schedule.NewInterval(job.AnchorAt, job.IntervalSeconds).Last(now)
		job.IntervalSeconds = *to.IntervalInSeconds
	}
	return job
}

// reschedule takes the job off its old schedule and puts it on the new one. It returns when the job last ran. The caller
// holds LockJob.
func reschedule(ctx context.Context, q *db.Queries, before, after db.Job, now time.Time) (*time.Time, error) {
	lastRunAt := before.LastRunAt
	if before.Status == db.JobStatusACTIVE {
		reason := db.RunReasonJOBPAUSED
		if after.Status == db.JobStatusACTIVE {
			reason = db.RunReasonMISFIRE
		}
		var err error
		if lastRunAt, err = unschedule(ctx, q, before, now, reason); err != nil {
			return nil, err
		}
	}
	if after.Status != db.JobStatusACTIVE {
		return lastRunAt, nil
	}
	next := schedule.NewInterval(after.AnchorAt, after.IntervalSeconds).Next(now)
	return lastRunAt, q.StartRecurring(ctx, db.StartRecurringParams{JobID: after.ID, ScheduledFor: next, LastRunAt: lastRunAt})
}

// unschedule takes the schedule off the job's due row and returns when the job last ran. A run in flight goes on, and
// ends on its own. What nobody executes is removed; what of it was due already leaves a skipped run with this reason.
func unschedule(ctx context.Context, q *db.Queries, job db.Job, now time.Time, reason db.RunReason) (*time.Time, error) {
	row, err := q.StopRecurring(ctx, job.ID)
	if errors.Is(err, pgx.ErrNoRows) {
		return job.LastRunAt, nil
	}
	if err != nil || row.Leased {
		return row.LastRunAt, err
	}
	skipped := schedule.NewInterval(job.AnchorAt, job.IntervalSeconds).Count(row.ScheduledFor, now)
	switch {
	case skipped == 1 && reason == db.RunReasonMISFIRE:
		return row.LastRunAt, nil // due this very moment: it is not missed, it runs like one in flight
	case skipped > 0:
		if _, err := q.CreateRunsPartition(ctx, row.ScheduledFor); err != nil {
			return nil, err
		}
	}
	return row.LastRunAt, q.DropOccurrence(ctx, db.DropOccurrenceParams{
		JobID: job.ID, ScheduledFor: row.ScheduledFor, Reason: reason, Occurrences: int32(skipped),
	})
}
