package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"punctual/gen/api"
	"punctual/gen/db"
	"punctual/internal/agenda"
	"punctual/internal/instant"
	"punctual/internal/runid"
)

// RunJob starts a run by hand.
func (s *server) RunJob(ctx context.Context, r api.RunJobRequestObject) (api.RunJobResponseObject, error) {
	run, err := s.startRun(ctx, r.Id, agenda.Start{Trigger: db.RunTriggerMANUAL}, r.Params.OverlapPolicy)
	if errors.Is(err, pgx.ErrNoRows) {
		return api.RunJob404ApplicationProblemPlusJSONResponse{
			NotFoundApplicationProblemPlusJSONResponse: notFound(ctx, "job"),
		}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("run job: %w", err)
	}
	return api.RunJob202JSONResponse{Headers: api.RunJob202ResponseHeaders{Location: runPath(run.Id)}, Body: run}, nil
}

// RetryRun starts a run that repeats another.
func (s *server) RetryRun(ctx context.Context, r api.RetryRunRequestObject) (api.RetryRunResponseObject, error) {
	before, err := s.findRun(ctx, r.Id)
	if errors.Is(err, pgx.ErrNoRows) {
		return api.RetryRun404ApplicationProblemPlusJSONResponse{
			NotFoundApplicationProblemPlusJSONResponse: notFound(ctx, "run"),
		}, nil
	}
	if err != nil {
		return nil, err
	}
	refuse := func(detail string) (api.RetryRunResponseObject, error) {
		return api.RetryRun409ApplicationProblemPlusJSONResponse{
			ConflictApplicationProblemPlusJSONResponse: conflict(ctx, detail),
		}, nil
	}
	switch api.RunStatus(before.Status) {
	case api.RunStatusPENDING, api.RunStatusRUNNING:
		return refuse("The run has not ended.")
	case api.RunStatusSUCCEEDED:
		return refuse("The run has succeeded.")
	case api.RunStatusFAILED, api.RunStatusCANCELED, api.RunStatusSKIPPED:
	}
	repeats := before.ScheduledFor
	if before.RetryOf != nil {
		repeats = *before.RetryOf
	}
	run, err := s.startRun(ctx, before.JobID, agenda.Start{Trigger: db.RunTriggerRETRY, RetryOf: &repeats}, r.Params.OverlapPolicy)
	if errors.Is(err, pgx.ErrNoRows) {
		return refuse("The run's job was deleted.")
	}
	if err != nil {
		return nil, fmt.Errorf("retry run: %w", err)
	}
	return api.RetryRun202JSONResponse{Headers: api.RetryRun202ResponseHeaders{Location: runPath(run.Id)}, Body: run}, nil
}

// startRun starts a run of a job, by the given overlap policy or else by the job's own.
func (s *server) startRun(ctx context.Context, job uuid.UUID, start agenda.Start, policy *api.OverlapPolicyOverride) (api.Run, error) {
	var started agenda.Started
	var locked agenda.Locked
	err := agenda.Change(ctx, s.Pool, func(q *db.Queries) (err error) {
		if locked, err = agenda.LockJob(ctx, q, job); err != nil {
			return err
		}
		start.Policy = locked.Job.OverlapPolicy
		if policy != nil {
			start.Policy = db.OverlapPolicy(*policy)
		}
		started, err = agenda.Run(ctx, q, &locked.Job, start, locked.LockedAt)
		return err
	})
	if err != nil {
		return api.Run{}, err
	}
	s.announce(locked.Job.Target, started.ScheduledFor, locked.LockedAt)
	s.announceCanceled(ctx, started.Canceled, db.RunReasonOVERLAP)
	row, err := s.findRun(ctx, runid.New(job, started.ScheduledFor))
	if errors.Is(err, pgx.ErrNoRows) { // it has succeeded already, and its job keeps failures only; or its instant is a moment ahead
		run := api.Run{
			Id: runid.New(job, started.ScheduledFor), JobId: job, Status: api.RunStatusPENDING, Trigger: api.RunTrigger(start.Trigger),
			ScheduledFor: instant.Time{Time: started.ScheduledFor}, FailedAttempts: []api.FailedAttempt{}, Occurrences: 1,
		}
		if start.RetryOf != nil {
			run.RetryOf = new(runid.New(job, *start.RetryOf))
		}
		return run, nil
	}
	if err != nil {
		return api.Run{}, err
	}
	return encodeRun(row)
}

// announceCanceled tells the instances that execute these runs to stop. They find out by themselves where that fails.
func (s *server) announceCanceled(ctx context.Context, runs []uuid.UUID, reason db.RunReason) {
	if len(runs) == 0 {
		return
	}
	s.Announce("", time.Time{}, time.Time{}) // those that nobody executes are claimed to be ended
	if err := s.queries.NotifyCanceled(ctx, db.NotifyCanceledParams{RunIds: runs, Reason: string(reason)}); err != nil {
		s.Logger.WarnContext(ctx, "instances find out by themselves that runs are to end", "error", err)
	}
}

// CancelRun has a run end.
func (s *server) CancelRun(ctx context.Context, r api.CancelRunRequestObject) (api.CancelRunResponseObject, error) {
	missing := api.CancelRun404ApplicationProblemPlusJSONResponse{
		NotFoundApplicationProblemPlusJSONResponse: notFound(ctx, "run"),
	}
	before, err := s.findRun(ctx, r.Id)
	if errors.Is(err, pgx.ErrNoRows) {
		return missing, nil
	}
	if err != nil {
		return nil, err
	}
	isOpen := false
	err = agenda.Change(ctx, s.Pool, func(q *db.Queries) error {
		now, err := q.DatabaseTime(ctx)
		if err != nil {
			return err
		}
		isOpen, err = agenda.Cancel(ctx, q, before.JobID, before.ScheduledFor, now)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cancel run: %w", err)
	}
	if !isOpen {
		return api.CancelRun409ApplicationProblemPlusJSONResponse{
			ConflictApplicationProblemPlusJSONResponse: conflict(ctx, "The run has ended."),
		}, nil
	}
	s.announceCanceled(ctx, []uuid.UUID{r.Id}, db.RunReasonREQUESTED)
	after, err := s.findRun(ctx, r.Id)
	if errors.Is(err, pgx.ErrNoRows) {
		after, err = before, nil // it has succeeded meanwhile, and its job keeps failures only
	}
	if err != nil {
		return nil, err
	}
	run, err := encodeRun(after)
	return api.CancelRun202JSONResponse(run), err
}

// BackfillJob runs what was not run.
func (s *server) BackfillJob(ctx context.Context, r api.BackfillJobRequestObject) (api.BackfillJobResponseObject, error) {
	from, to := *decodeInstant(&r.Body.From), *decodeInstant(&r.Body.To)
	var answer api.Backfill
	var locked agenda.Locked
	err := agenda.Change(ctx, s.Pool, func(q *db.Queries) (err error) {
		if locked, err = agenda.LockJob(ctx, q, r.Id); err != nil {
			return err
		}
		if wrong := checkWindow(from, to, locked.LockedAt); len(wrong) > 0 {
			return errInvalid{wrong}
		}
		runs, occurrences, err := agenda.Backfill(ctx, q, &locked.Job, from, to)
		answer = api.Backfill{Runs: int32(runs), Occurrences: int32(occurrences)}
		return err
	})
	if tooMany, ok := errors.AsType[agenda.TooManyError](err); ok {
		err = errInvalid{[]api.FieldError{inBody("from", "the window "+tooMany.Error()), inBody("to", "the window "+tooMany.Error())}}
	}
	if invalid, ok := errors.AsType[errInvalid](err); ok {
		return api.BackfillJob400ApplicationProblemPlusJSONResponse{
			BadRequestApplicationProblemPlusJSONResponse: notValid(ctx, invalid.fields...),
		}, nil
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return api.BackfillJob404ApplicationProblemPlusJSONResponse{
			NotFoundApplicationProblemPlusJSONResponse: notFound(ctx, "job"),
		}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("backfill: %w", err)
	}
	s.announce(locked.Job.Target, locked.LockedAt, locked.LockedAt)
	return api.BackfillJob202JSONResponse(answer), nil
}

func checkWindow(from, to, now time.Time) (wrong []api.FieldError) {
	if from.After(to) {
		wrong = append(wrong, inBody("from", "must not be after to"), inBody("to", "must not be before from"))
	}
	if from.Before(time.Unix(0, 0)) { // a run's id cannot say so
		wrong = append(wrong, inBody("from", "must not be before 1970"))
	}
	if to.After(now) {
		wrong = append(wrong, inBody("to", "must not be in the future"))
	}
	return wrong
}

func runPath(id uuid.UUID) string { return "/api/v1/runs/" + id.String() }

// conflict returns the problem of a request that what it is about is not ready for.
func conflict(ctx context.Context, detail string) api.ConflictApplicationProblemPlusJSONResponse {
	return api.ConflictApplicationProblemPlusJSONResponse(problem(ctx, http.StatusConflict, detail))
}
