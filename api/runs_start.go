package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/gen/server"
	"punctual/internal/instant"
	"punctual/internal/jobs"
	"punctual/internal/runid"
)

// RunJob starts a run by hand.
func (s *handlers) RunJob(ctx context.Context, r server.RunJobRequestObject) (server.RunJobResponseObject, error) {
	run, err := s.startRun(ctx, r.Id, jobs.Start{Trigger: db.RunTriggerMANUAL}, r.Params.OverlapPolicy)
	if errors.Is(err, pgx.ErrNoRows) {
		return server.RunJob404ApplicationProblemPlusJSONResponse{
			NotFoundApplicationProblemPlusJSONResponse: notFound(ctx, "job"),
		}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("run job: %w", err)
	}
	return server.RunJob202JSONResponse{Headers: server.RunJob202ResponseHeaders{Location: runPath(run.Id)}, Body: run}, nil
}

// RetryRun starts a run that repeats another.
func (s *handlers) RetryRun(ctx context.Context, r server.RetryRunRequestObject) (server.RetryRunResponseObject, error) {
	before, err := s.findRun(ctx, r.Id)
	if errors.Is(err, pgx.ErrNoRows) {
		return server.RetryRun404ApplicationProblemPlusJSONResponse{
			NotFoundApplicationProblemPlusJSONResponse: notFound(ctx, "run"),
		}, nil
	}
	if err != nil {
		return nil, err
	}
	refuse := func(detail string) (server.RetryRunResponseObject, error) {
		return server.RetryRun409ApplicationProblemPlusJSONResponse{
			ConflictApplicationProblemPlusJSONResponse: conflict(ctx, detail),
		}, nil
	}
	switch server.RunStatus(before.Status) {
	case server.RunStatusPENDING, server.RunStatusRUNNING:
		return refuse("The run has not ended.")
	case server.RunStatusSUCCEEDED:
		return refuse("The run has succeeded.")
	case server.RunStatusFAILED, server.RunStatusCANCELED, server.RunStatusSKIPPED:
	}
	repeats := before.ScheduledFor
	if before.RetryOf != nil {
		repeats = *before.RetryOf
	}
	run, err := s.startRun(ctx, before.JobID, jobs.Start{Trigger: db.RunTriggerRETRY, RetryOf: &repeats}, r.Params.OverlapPolicy)
	if errors.Is(err, pgx.ErrNoRows) {
		return refuse("The run's job was deleted.")
	}
	if err != nil {
		return nil, fmt.Errorf("retry run: %w", err)
	}
	return server.RetryRun202JSONResponse{Headers: server.RetryRun202ResponseHeaders{Location: runPath(run.Id)}, Body: run}, nil
}

// startRun starts a run of a job, by the given overlap policy or else by the job's own.
func (s *handlers) startRun(ctx context.Context, job uuid.UUID, start jobs.Start, policy *server.OverlapPolicyOverride) (server.Run, error) {
	var started jobs.Started
	var locked jobs.Locked
	err := jobs.Change(ctx, s.Pool, func(q *db.Queries) (err error) {
		if locked, err = jobs.LockJob(ctx, q, job); err != nil {
			return err
		}
		start.Policy = locked.Job.OverlapPolicy
		if policy != nil {
			start.Policy = db.OverlapPolicy(*policy)
		}
		started, err = jobs.Run(ctx, q, &locked.Job, start, locked.LockedAt)
		return err
	})
	if err != nil {
		return server.Run{}, err
	}
	s.announce(locked.Job.Queue, started.ScheduledFor, locked.LockedAt)
	s.announceCanceled(ctx, started.Canceled, db.RunReasonOVERLAP)
	row, err := s.findRun(ctx, runid.New(job, started.ScheduledFor))
	if errors.Is(err, pgx.ErrNoRows) { // it has succeeded already, and its job keeps failures only; or its instant is a moment ahead
		run := server.Run{
			Id: runid.New(job, started.ScheduledFor), JobId: job, Status: server.RunStatusPENDING, Trigger: server.RunTrigger(start.Trigger),
			ScheduledFor: instant.Time{Time: started.ScheduledFor}, FailedAttempts: []server.FailedAttempt{}, Occurrences: 1,
		}
		if start.RetryOf != nil {
			run.RetryOf = new(runid.New(job, *start.RetryOf))
		}
		return run, nil
	}
	if err != nil {
		return server.Run{}, err
	}
	return encodeRun(row)
}

// announceCanceled tells the instances that execute these runs to stop. They find out by themselves where that fails.
func (s *handlers) announceCanceled(ctx context.Context, runs []uuid.UUID, reason db.RunReason) {
	if len(runs) == 0 {
		return
	}
	s.Announce("", time.Time{}, time.Time{}) // those that nobody executes are claimed to be ended
	if err := s.queries.NotifyCanceled(ctx, db.NotifyCanceledParams{RunIds: runs, Reason: string(reason)}); err != nil {
		s.Logger.WarnContext(ctx, "instances find out by themselves that runs are to end", "error", err)
	}
}

// CancelRun has a run end.
func (s *handlers) CancelRun(ctx context.Context, r server.CancelRunRequestObject) (server.CancelRunResponseObject, error) {
	missing := server.CancelRun404ApplicationProblemPlusJSONResponse{
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
	err = jobs.Change(ctx, s.Pool, func(q *db.Queries) error {
		now, err := q.DatabaseTime(ctx)
		if err != nil {
			return err
		}
		isOpen, err = jobs.Cancel(ctx, q, before.JobID, before.ScheduledFor, now)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cancel run: %w", err)
	}
	if !isOpen {
		return server.CancelRun409ApplicationProblemPlusJSONResponse{
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
	return server.CancelRun202JSONResponse(run), err
}

// BackfillJob runs what was not run.
func (s *handlers) BackfillJob(ctx context.Context, r server.BackfillJobRequestObject) (server.BackfillJobResponseObject, error) {
	from, to := *decodeInstant(&r.Body.From), *decodeInstant(&r.Body.To)
	var answer server.Backfill
	var locked jobs.Locked
	err := jobs.Change(ctx, s.Pool, func(q *db.Queries) (err error) {
		if locked, err = jobs.LockJob(ctx, q, r.Id); err != nil {
			return err
		}
		if wrong := checkWindow(from, to, locked.LockedAt); len(wrong) > 0 {
			return errInvalid{wrong}
		}
		runs, occurrences, err := jobs.Backfill(ctx, q, &locked.Job, from, to)
		answer = server.Backfill{Runs: int32(runs), Occurrences: int32(occurrences)}
		return err
	})
	if tooMany, ok := errors.AsType[jobs.TooManyError](err); ok {
		err = errInvalid{[]server.FieldError{inBody("from", "the window "+tooMany.Error()), inBody("to", "the window "+tooMany.Error())}}
	}
	if invalid, ok := errors.AsType[errInvalid](err); ok {
		return server.BackfillJob400ApplicationProblemPlusJSONResponse{
			BadRequestApplicationProblemPlusJSONResponse: notValid(ctx, invalid.fields...),
		}, nil
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return server.BackfillJob404ApplicationProblemPlusJSONResponse{
			NotFoundApplicationProblemPlusJSONResponse: notFound(ctx, "job"),
		}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("backfill: %w", err)
	}
	s.announce(locked.Job.Queue, locked.LockedAt, locked.LockedAt)
	return server.BackfillJob202JSONResponse(answer), nil
}

func checkWindow(from, to, now time.Time) (wrong []server.FieldError) {
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
func conflict(ctx context.Context, detail string) server.ConflictApplicationProblemPlusJSONResponse {
	return server.ConflictApplicationProblemPlusJSONResponse(problem(ctx, http.StatusConflict, detail))
}
