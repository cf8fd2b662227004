package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"punctual/gen/api"
	"punctual/gen/db"
	"punctual/internal/planner"
)

// errInvalid carries the fields at fault out of a transaction.
type errInvalid struct{ fields []api.FieldError }

func (errInvalid) Error() string { return "the change is not valid" }

// UpdateJob changes what the request names, and reschedules the job where that matters.
func (s *server) UpdateJob(ctx context.Context, r api.UpdateJobRequestObject) (api.UpdateJobResponseObject, error) {
	var row jobRow
	err := s.change(ctx, func(q *db.Queries) error {
		locked, err := q.LockJob(ctx, r.Id)
		if err != nil {
			return err
		}
		before, now := locked.Job, locked.LockedAt
		after, err := s.changed(before, *r.Body, now)
		if err != nil {
			return err
		}
		if after.Status != before.Status || isRescheduled(before, after) {
			if err := reschedule(ctx, q, before, &after, now); err != nil {
				return err
			}
		}
		if err := q.UpdateJob(ctx, updateParams(after)); err != nil {
			return err
		}
		row, err = q.GetJob(ctx, r.Id)
		return err
	})
	if invalid, ok := errors.AsType[errInvalid](err); ok {
		return api.UpdateJob400ApplicationProblemPlusJSONResponse{
			BadRequestApplicationProblemPlusJSONResponse: notValid(ctx, invalid.fields...),
		}, nil
	}
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

// maxDeadlocks is how often a change is tried again.
const maxDeadlocks = 5

// change runs do in a transaction. A change locks the job and then its due row, a completion after which the job rests
// does it the other way round: should the two meet, PostgreSQL ends one of them, and it is done again.
func (s *server) change(ctx context.Context, do func(*db.Queries) error) (err error) {
	for range maxDeadlocks {
		err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error { return do(s.queries.WithTx(tx)) })
		if deadlock, ok := errors.AsType[*pgconn.PgError](err); !ok || deadlock.Code != pgerrcode.DeadlockDetected {
			break
		}
	}
	return err
}

// DeleteJob takes the job out of sight and off the schedule.
func (s *server) DeleteJob(ctx context.Context, r api.DeleteJobRequestObject) (api.DeleteJobResponseObject, error) {
	err := s.change(ctx, func(q *db.Queries) error {
		locked, err := q.LockJob(ctx, r.Id)
		if err != nil {
			return err
		}
		if err := unschedule(ctx, q, &locked.Job, locked.LockedAt, db.RunReasonJOBDELETED); err != nil {
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

// changed returns the job as the request wants it.
func (s *server) changed(before db.Job, change api.JobUpdate, now time.Time) (db.Job, error) {
	definition, err := s.definitions.merge(before, change)
	if mistyped := fieldErrors(err); len(mistyped) > 0 {
		return db.Job{}, errInvalid{mistyped} // a fraction that is whole, say, which the schema takes for an integer
	}
	if err != nil {
		return db.Job{}, fmt.Errorf("merge the change: %w", err)
	}
	after, wrong := define(definition, before.ID, &before, now)
	after.Status, after.StatusReason = before.Status, before.StatusReason
	after.LastRunAt, after.RunCount = before.LastRunAt, before.RunCount
	if raw, ok := change["status"]; ok {
		if err := json.Unmarshal(raw, &after.Status); err != nil {
			return db.Job{}, fmt.Errorf("status: %w", err)
		}
		after.StatusReason = nil
	}
	if len(wrong) > 0 {
		return db.Job{}, errInvalid{wrong}
	}
	return after, nil
}

// isRescheduled tells whether two definitions of a job are due at different instants, or claimed in another way.
func isRescheduled(a, b db.Job) bool {
	type when struct {
		interval, maxRuns         int64
		anchor, runAt, start, end int64
		cron, zone, group         string
		jitter                    int32
	}
	of := func(j db.Job) when {
		micros := func(t *time.Time) int64 { return orDefault(t, time.Time{}).UnixMicro() }
		return when{
			interval: orDefault(j.IntervalSeconds, 0), maxRuns: orDefault(j.MaxRuns, 0),
			anchor: micros(j.AnchorAt), runAt: micros(j.RunAt), start: micros(j.StartAt), end: micros(j.EndAt),
			group: orDefault(j.ConcurrencyGroup, ""), cron: orDefault(j.Cron, ""), zone: orDefault(j.TimeZone, ""), jitter: j.JitterSeconds,
		}
	}
	return of(a) != of(b)
}

// reschedule takes the job off its old schedule and puts it on the new one. The caller holds LockJob.
func reschedule(ctx context.Context, q *db.Queries, before db.Job, after *db.Job, now time.Time) error {
	if before.Status == db.JobStatusACTIVE {
		reason := db.RunReasonJOBPAUSED
		if after.Status == db.JobStatusACTIVE {
			reason = db.RunReasonMISFIRE
		}
		if err := unschedule(ctx, q, &before, now, reason); err != nil {
			return err
		}
		after.LastRunAt, after.RunCount = before.LastRunAt, before.RunCount
	}
	if after.Status != db.JobStatusACTIVE {
		return nil
	}
	next, never, err := firstOccurrence(*after, now)
	if err != nil {
		return err
	}
	if never != nil {
		return errInvalid{[]api.FieldError{*never}}
	}
	return q.StartRecurring(ctx, db.StartRecurringParams{
		JobID: after.ID, ScheduledFor: next, LastRunAt: after.LastRunAt, ConcurrencyGroup: after.ConcurrencyGroup,
	})
}

// unschedule takes the schedule off the job's due row, and takes down on the job what that row knew. A run that has begun
// goes on, and ends on its own. What nobody executes is removed; what of it was due already leaves a skipped run with
// this reason.
func unschedule(ctx context.Context, q *db.Queries, job *db.Job, now time.Time, reason db.RunReason) error {
	row, err := q.StopRecurring(ctx, job.ID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	job.LastRunAt = latest(job.LastRunAt, row.LastRunAt)
	job.RunCount += row.RunCount
	if row.Begun {
		job.RunCount++
		return nil
	}
	skipped := 0
	if !row.ScheduledFor.After(now) {
		skipped = 1
		if when, err := planner.Schedule(job); err == nil {
			missed, _ := when.Between(row.ScheduledFor, now)
			skipped += missed
		}
	}
	switch {
	case skipped == 1 && reason == db.RunReasonMISFIRE:
		job.RunCount++
		return nil // due this very moment: it is not missed, it runs like one in flight
	case skipped > 0:
		if _, err := q.CreateRunsPartition(ctx, row.ScheduledFor); err != nil {
			return err
		}
	}
	return q.DropOccurrence(ctx, db.DropOccurrenceParams{
		JobID: job.ID, ScheduledFor: row.ScheduledFor, Reason: reason, Occurrences: int32(skipped),
	})
}
