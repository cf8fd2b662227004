package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/gen/server"
	"punctual/internal/jobs"
)

// errInvalid carries the fields at fault out of a transaction.
type errInvalid struct{ fields []server.FieldError }

func (errInvalid) Error() string { return "the change is not valid" }

// UpdateJob changes what the request names, and reschedules the job where that matters.
func (s *handlers) UpdateJob(ctx context.Context, r server.UpdateJobRequestObject) (server.UpdateJobResponseObject, error) {
	var row jobRow
	err := jobs.Change(ctx, s.Pool, func(q *db.Queries) error {
		locked, err := jobs.LockJob(ctx, q, r.Id)
		if err != nil {
			return err
		}
		before, now := locked.Job, locked.LockedAt
		after, err := s.changed(before, *r.Body, now)
		if err != nil {
			return err
		}
		switch {
		case after.Status != before.Status || isRescheduled(before, after):
			err = jobs.Reschedule(ctx, q, before, &after, now)
		case jobs.IsMoved(&before, &after):
			err = jobs.Move(ctx, q, before, &after, now)
		}
		if err != nil {
			return err
		}
		if goesOnOtherwise(before, after) {
			if err := jobs.Redefine(ctx, q, after.ID); err != nil {
				return err
			}
		}
		if err := q.UpdateJob(ctx, jobs.UpdateParams(after)); err != nil {
			return err
		}
		row, err = q.GetJob(ctx, r.Id)
		return err
	})
	if never, ok := errors.AsType[jobs.NeverDueError](err); ok {
		err = errInvalid{[]server.FieldError{inBody(never.Field, never.Detail)}}
	}
	if invalid, ok := errors.AsType[errInvalid](err); ok {
		return server.UpdateJob400ApplicationProblemPlusJSONResponse{
			BadRequestApplicationProblemPlusJSONResponse: notValid(ctx, invalid.fields...),
		}, nil
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return server.UpdateJob404ApplicationProblemPlusJSONResponse{
			NotFoundApplicationProblemPlusJSONResponse: notFound(ctx, "job"),
		}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("update job: %w", err)
	}
	if row.ScheduledFor != nil {
		s.announce(row.Job.Queue, *row.ScheduledFor, row.Job.UpdatedAt)
	}
	return server.UpdateJob200JSONResponse(encodeJob(row)), nil
}

// DeleteJob takes the job out of sight and off the schedule.
func (s *handlers) DeleteJob(ctx context.Context, r server.DeleteJobRequestObject) (server.DeleteJobResponseObject, error) {
	err := jobs.Delete(ctx, s.Pool, r.Id)
	if errors.Is(err, pgx.ErrNoRows) {
		return server.DeleteJob404ApplicationProblemPlusJSONResponse{
			NotFoundApplicationProblemPlusJSONResponse: notFound(ctx, "job"),
		}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("delete job: %w", err)
	}
	s.Announce("", time.Time{}, time.Time{}) // what waited for workers is for instances to end
	return server.DeleteJob204Response{}, nil
}

// changed returns the job as the request wants it.
func (s *handlers) changed(before db.Job, change server.JobUpdate, now time.Time) (db.Job, error) {
	definition, err := s.definitions.merge(before, change)
	if mistyped := fieldErrors(err); len(mistyped) > 0 {
		return db.Job{}, errInvalid{mistyped} // a fraction that is whole, say, which the schema takes for an integer
	}
	if err != nil {
		return db.Job{}, fmt.Errorf("merge the change: %w", err)
	}
	after, wrong := define(definition, before.ID, &before, now)
	faults, err := s.changeTarget(&after, change, before)
	if err != nil {
		return db.Job{}, err
	}
	wrong = append(append(wrong, faults...), checkGroup(after)...)
	after.Status, after.StatusReason = before.Status, before.StatusReason
	after.PausedSince = before.PausedSince
	after.LastRunAt, after.RunCount = before.LastRunAt, before.RunCount
	if raw, ok := change["status"]; ok {
		if err := json.Unmarshal(raw, &after.Status); err != nil {
			return db.Job{}, fmt.Errorf("status: %w", err)
		}
		after.StatusReason = nil
		switch {
		case after.Status != db.JobStatusPAUSED:
			after.PausedSince = nil
		case before.Status != db.JobStatusPAUSED:
			after.PausedSince = &now
		}
	}
	if raw, ok := change["statusReason"]; ok {
		if _, ok := change["status"]; !ok {
			wrong = append(wrong, inBody("statusReason", "can be given only together with status"))
		}
		if err := json.Unmarshal(raw, &after.StatusReason); err != nil {
			return db.Job{}, fmt.Errorf("status reason: %w", err)
		}
	}
	if len(wrong) > 0 {
		return db.Job{}, errInvalid{wrong}
	}
	return after, nil
}

// changeTarget gives a changed job its target: another one, or the one that it has.
func (s *handlers) changeTarget(job *db.Job, change server.JobUpdate, before db.Job) ([]server.FieldError, error) {
	if raw, ok := change["target"]; ok {
		return s.defineTarget(job, raw, &before)
	}
	job.Queue = before.Queue
	job.Target, job.SealedSecrets, job.SecretsKeyID = before.Target, before.SealedSecrets, before.SecretsKeyID
	job.SecretNames = before.SecretNames
	return nil, nil
}

// goesOnOtherwise tells whether two definitions of a job that are due at the same instants differ in what a run's end does.
func goesOnOtherwise(a, b db.Job) bool {
	return a.OverlapPolicy != b.OverlapPolicy || orDefault(a.PauseAfterFailures, 0) != orDefault(b.PauseAfterFailures, 0)
}

// isRescheduled tells whether two definitions of a job are due at different instants.
func isRescheduled(a, b db.Job) bool {
	type when struct {
		interval, maxRuns         int64
		anchor, runAt, start, end int64
		cron, zone                string
		jitter                    int32
	}
	of := func(j db.Job) when {
		micros := func(t *time.Time) int64 { return orDefault(t, time.Time{}).UnixMicro() }
		return when{
			interval: orDefault(j.IntervalSeconds, 0), maxRuns: orDefault(j.MaxRuns, 0),
			anchor: micros(j.AnchorAt), runAt: micros(j.RunAt), start: micros(j.StartAt), end: micros(j.EndAt),
			cron: orDefault(j.Cron, ""), zone: orDefault(j.TimeZone, ""), jitter: j.JitterSeconds,
		}
	}
	return of(a) != of(b)
}
