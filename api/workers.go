package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/broker"
	"punctual/internal/executor"
	"punctual/internal/instant"
	"punctual/internal/jobs"
	"punctual/internal/traceid"
)

// What the contract says where a worker says nothing.
const (
	defaultMaxRuns      int32 = 1
	defaultWaitSeconds  int32 = 30
	defaultLeaseSeconds int32 = 15
	defaultWorker             = "worker"
)

// LeaseRuns leases due runs of a queue, waiting for them.
func (s *handlers) LeaseRuns(ctx context.Context, r server.LeaseRunsRequestObject) (server.LeaseRunsResponseObject, error) {
	by := access.From(ctx)
	if !by.MayServe(r.Queue) {
		return nil, access.ErrQueueNotAllowed
	}
	lease, err := s.Queues.Lease(ctx, broker.Ask{
		Queue: access.Qualified(by.Namespace, r.Queue), MaxRuns: int(orDefault(r.Body.MaxRuns, defaultMaxRuns)),
		Wait:     seconds(orDefault(r.Body.WaitSeconds, defaultWaitSeconds)),
		Duration: seconds(orDefault(r.Body.LeaseSeconds, defaultLeaseSeconds)),
		Holder:   orDefault(r.Body.Worker, defaultWorker), Recheck: access.Recheck,
	})
	if err != nil {
		return nil, fmt.Errorf("lease runs: %w", err)
	}
	if lease == nil {
		return server.LeaseRuns204Response{}, nil
	}
	return server.LeaseRuns200JSONResponse{
		Id: lease.ID, ExpiresAt: instant.Time{Time: lease.ExpiresAt}, Runs: encodeAll(lease.Runs, s.encodeLeased),
	}, nil
}

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }

// encodeLeased returns the API's leased run.
func (s *handlers) encodeLeased(a *broker.LeasedRun) server.LeasedRun {
	return server.LeasedRun{
		Id: a.RunID(), Token: a.Due.Token, JobId: a.Due.JobID, JobName: a.Job.Name,
		ScheduledFor: instant.Time{Time: a.Instant()}, Attempt: int32(a.Due.Attempt),
		AttemptDeadlineSeconds: a.Job.AttemptDeadlineSeconds, Payload: a.Payload(),
		Traceparent: traceid.Parent(s.Queues.SpanOf(a)),
	}
}

// Heartbeat keeps a worker's lease.
func (s *handlers) Heartbeat(ctx context.Context, r server.HeartbeatRequestObject) (server.HeartbeatResponseObject, error) {
	expiresAt, canceled, err := s.Queues.Heartbeat(ctx, access.From(ctx), r.Id)
	if errors.Is(err, broker.ErrNotLeased) {
		return nil, &jobs.Conflict{Code: leaseExpired}
	}
	if err != nil {
		return nil, err
	}
	if canceled == nil {
		canceled = []uuid.UUID{}
	}
	return server.Heartbeat200JSONResponse{ExpiresAt: instant.Time{Time: expiresAt}, Canceled: canceled}, nil
}

// CompleteRun ends a leased run with success.
func (s *handlers) CompleteRun(ctx context.Context, r server.CompleteRunRequestObject) (server.CompleteRunResponseObject, error) {
	if err := s.Queues.End(ctx, access.From(ctx), broker.Report{Run: r.Id, Token: r.Body.Token, Output: orDefault(r.Body.Output, "")}); err != nil {
		return nil, s.refuseWorker(ctx, r.Id, err)
	}
	return server.CompleteRun204Response{}, nil
}

// FailRun ends an attempt of a leased run without success.
func (s *handlers) FailRun(ctx context.Context, r server.FailRunRequestObject) (server.FailRunResponseObject, error) {
	err := s.Queues.End(ctx, access.From(ctx), broker.Report{
		Run: r.Id, Token: r.Body.Token, Output: orDefault(r.Body.Output, ""),
		Failure: failed(r.Body.Error, r.Body.Retryable, r.Body.RetryAfterSeconds),
	})
	if err != nil {
		return nil, s.refuseWorker(ctx, r.Id, err)
	}
	return server.FailRun204Response{}, nil
}

func failed(text string, retryable *bool, retryAfterSeconds *int32) *executor.Failure {
	return &executor.Failure{
		Err: errors.New(text), IsFinal: !orDefault(retryable, true), RetryAfter: seconds(orDefault(retryAfterSeconds, 0)),
	}
}

// CompleteRuns ends runs of a lease.
func (s *handlers) CompleteRuns(ctx context.Context, r server.CompleteRunsRequestObject) (server.CompleteRunsResponseObject, error) {
	all := make([]broker.Report, len(r.Body.Reports))
	for i, report := range r.Body.Reports {
		all[i] = broker.Report{Token: report.Token, Output: orDefault(report.Output, "")}
		all[i].Run, _ = uuid.Parse(report.RunId) // what is no id is the id of no run
		if report.Error != nil {
			all[i].Failure = failed(*report.Error, report.Retryable, report.RetryAfterSeconds)
		}
	}
	errs := s.Queues.EndAll(ctx, access.From(ctx), r.Id, all...)
	results := make([]server.RunReportResult, len(all))
	for i, err := range errs {
		results[i] = server.RunReportResult{RunId: r.Body.Reports[i].RunId, Result: server.ReportOutcomeRECORDED}
		if err != nil {
			results[i].Result = server.ReportOutcomeREFUSED
			results[i].Code, results[i].Detail = s.failure(ctx, s.refuseWorker(ctx, all[i].Run, err))
		}
	}
	return server.CompleteRuns200JSONResponse{Results: results}, nil
}

// ReleaseRun gives a leased run back.
func (s *handlers) ReleaseRun(ctx context.Context, r server.ReleaseRunRequestObject) (server.ReleaseRunResponseObject, error) {
	if err := s.Queues.Release(ctx, access.From(ctx), r.Id, r.Body.Token); err != nil {
		return nil, s.refuseWorker(ctx, r.Id, err)
	}
	return server.ReleaseRun204Response{}, nil
}

// refuseWorker returns the error for what a worker says of a run that it does not hold: there is no
// such run, or the token is stale. Other errors stay as they are.
func (s *handlers) refuseWorker(ctx context.Context, run uuid.UUID, err error) error {
	if !errors.Is(err, broker.ErrNotLeased) {
		return err
	}
	if _, err := s.Jobs.GetRun(ctx, access.From(ctx), run); err != nil {
		return err
	}
	return &jobs.Conflict{Code: staleToken}
}
