package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/calendars"
	"punctual/internal/connections"
	"punctual/internal/idempotency"
	"punctual/internal/jobs"
)

// errAnswerLost is the error for a request that was served, but whose answer cannot be made again.
var errAnswerLost = &jobs.Conflict{Code: answerLost}

// rebuild returns the answer of an operation whose entries in the audit tell what it has done. Jobs
// and runs are as they are now.
func (s *handlers) rebuild(ctx context.Context, operation string, done []idempotency.Entry) (func(http.ResponseWriter) error, error) {
	by, first := access.From(ctx), &done[0]
	switch operation {
	case "createJob":
		view, err := s.jobOf(ctx, by, first)
		return jobCreated(view).VisitCreateJobResponse, err
	case "createJobs":
		created, err := s.jobsOf(ctx, by, done)
		return created.VisitCreateJobsResponse, err
	case "runJob":
		run, err := s.runOf(ctx, by, first)
		return runStarted(run).VisitRunJobResponse, err
	case "retryRun":
		run, err := s.runOf(ctx, by, first)
		return runRetried(run).VisitRetryRunResponse, err
	case "backfillJob":
		var answer server.BackfillJob202JSONResponse
		err := json.Unmarshal(first.Result, &answer)
		return answer.VisitBackfillJobResponse, err
	case "createNamespace":
		row, err := s.Namespaces.Get(ctx, by, first.ResourceID)
		return namespaceCreated(row).VisitCreateNamespaceResponse, gone(err, access.ErrNoNamespace)
	case "createConnection":
		view, err := s.Connections.Get(ctx, by, first.ResourceID)
		return connectionCreated(view).VisitCreateConnectionResponse, gone(err, connections.ErrNotFound)
	case "createCalendar":
		view, err := s.Calendars.Get(ctx, by, first.ResourceID)
		return calendarCreated(view).VisitCreateCalendarResponse, gone(err, calendars.ErrNotFound)
	case "createKey":
		return nil, &jobs.Conflict{Code: keyAlreadyCreated, Detail: fmt.Sprintf(
			"The first request has created the key %s, whose secret is shown only once. Revoke it, and create another key with a new Idempotency-Key.",
			first.ResourceID)}
	default: // what it has left as it was is not in the audit
		return nil, errAnswerLost
	}
}

// gone returns errAnswerLost for the error of a thing that is not there any more.
func gone(err, notFound error) error {
	if errors.Is(err, notFound) {
		return errAnswerLost
	}
	return err
}

// jobOf returns the job that an entry is about.
func (s *handlers) jobOf(ctx context.Context, by access.Caller, entry *idempotency.Entry) (jobs.View, error) {
	id, err := uuid.Parse(entry.ResourceID)
	if err != nil {
		return jobs.View{}, fmt.Errorf("an entry of the audit: %w", err)
	}
	view, err := s.Jobs.Get(ctx, by, id)
	return view, gone(err, jobs.ErrNotFound)
}

// jobsOf returns the jobs that entries are about.
func (s *handlers) jobsOf(ctx context.Context, by access.Caller, done []idempotency.Entry) (server.CreateJobs201JSONResponse, error) {
	ids, err := encodeEach(done, func(entry idempotency.Entry) (uuid.UUID, error) { return uuid.Parse(entry.ResourceID) })
	if err != nil {
		return server.CreateJobs201JSONResponse{}, fmt.Errorf("an entry of the audit: %w", err)
	}
	rows, err := s.queries.ListCreated(ctx, db.ListCreatedParams{Namespace: by.Namespace, Ids: ids})
	if err != nil {
		return server.CreateJobs201JSONResponse{}, fmt.Errorf("read the jobs that were created: %w", err)
	}
	if len(rows) < len(ids) {
		return server.CreateJobs201JSONResponse{}, errAnswerLost
	}
	return server.CreateJobs201JSONResponse{Items: encodeAll(rows, func(row db.ListCreatedRow) server.CreatedJob {
		created := server.CreatedJob{Id: row.ID, Key: row.Key}
		if !row.HasNoSchedule {
			created.NextRunAt = encodeInstant(&row.NextRunAt)
		}
		return created
	})}, nil
}

// runOf returns the run that an entry says was started.
func (s *handlers) runOf(ctx context.Context, by access.Caller, entry *idempotency.Entry) (server.Run, error) {
	var result struct{ RunID uuid.UUID }
	if err := json.Unmarshal(entry.Result, &result); err != nil {
		return server.Run{}, fmt.Errorf("an entry of the audit: %w", err)
	}
	run, err := s.encodeFound(s.Jobs.GetRun(ctx, by, result.RunID))
	return run, gone(err, jobs.ErrRunNotFound)
}
