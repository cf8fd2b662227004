package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/internal/executor"
	"punctual/internal/runid"
	"punctual/internal/runs"
	"punctual/internal/sanitize"
)

// ErrLost says that a run, or a lease, is no longer the worker's, or never was. What it has done or said changes nothing.
var ErrLost = errors.New("the lease has run out, or the run was leased anew")

// End says how an attempt of a leased run ended. The error is as of target.Executor; nil: it succeeded. It returns ErrLost when
// the token is not that of the run's claim.
func (b *Broker) End(ctx context.Context, run uuid.UUID, token int64, output string, failure error) error {
	row, err := b.leased(ctx, run, token)
	if err != nil {
		return err
	}
	b.clock.Observe(row.ReadAt)
	now := b.clock.Now()
	o := runs.New(claimOf(row))
	o.Resume(row.LeasedAt)
	if failure != nil && row.CancelReason != nil {
		failure = runs.Canceled{Reason: *row.CancelReason}
	}
	o.End(now, result(output, now.Sub(row.LeasedAt)), failure)
	lost, _, err := b.outcomes.Batch(ctx, []*runs.Outcome{&o})
	if err != nil {
		return err
	}
	if len(lost) > 0 {
		return ErrLost
	}
	b.forgetLease(ctx, row.LeaseID)
	return nil
}

// result returns what a worker reported, as the history keeps it.
func result(output string, took time.Duration) *executor.Result {
	kept, isTruncated := sanitize.Text(output, executor.MaxOutput)
	return &executor.Result{Duration: took, Output: kept, OutputIsTruncated: isTruncated}
}

// Release gives a leased run back, for another worker; the attempt does not count. It returns ErrLost when the token is not
// that of the run's claim.
func (b *Broker) Release(ctx context.Context, run uuid.UUID, token int64) error {
	row, err := b.leased(ctx, run, token)
	if err != nil {
		return err
	}
	if err := b.release(ctx, row.ScheduledFor, token, &row.Job); err != nil {
		return err
	}
	b.forgetLease(ctx, row.LeaseID)
	return nil
}

func (b *Broker) release(ctx context.Context, scheduledFor time.Time, token int64, job *db.Job) error {
	n, err := b.queries.Release(ctx, db.ReleaseParams{JobID: job.ID, ScheduledFor: scheduledFor, Token: token})
	if err != nil {
		return fmt.Errorf("release: %w", err)
	}
	if n == 0 {
		return ErrLost
	}
	if queue := job.Queue; queue != nil {
		b.due(queue, b.clock.Now())
	}
	b.due(nil, b.clock.Now()) // one that was canceled is left to instances
	return nil
}

// Heartbeat puts the end of a worker's lease off, and returns when that is now, and which of its runs are to end. It returns
// ErrLost when the lease has run out.
func (b *Broker) Heartbeat(ctx context.Context, lease uuid.UUID) (expiresAt time.Time, canceled []uuid.UUID, err error) {
	expiresAt, err = b.queries.RenewWorkerLease(ctx, lease)
	if errors.Is(err, pgx.ErrNoRows) {
		return time.Time{}, nil, ErrLost
	}
	if err != nil {
		return time.Time{}, nil, fmt.Errorf("renew the lease: %w", err)
	}
	rows, err := b.queries.ListCanceledOfWorker(ctx, lease)
	if err != nil {
		return time.Time{}, nil, fmt.Errorf("list runs that are to end: %w", err)
	}
	for _, row := range rows {
		canceled = append(canceled, runid.New(row.JobID, row.ScheduledFor))
	}
	return expiresAt, canceled, nil
}

// EndOverdue fails the attempts of workers that have taken longer than they may, and returns how many there were. Safe to be
// done by many: the tokens guard it.
func (b *Broker) EndOverdue(ctx context.Context) (int64, error) {
	rows, err := b.queries.ListOverdue(ctx)
	if err != nil {
		return 0, fmt.Errorf("list what takes too long: %w", err)
	}
	overdue := make([]*runs.Outcome, len(rows))
	for i, row := range rows {
		b.clock.Observe(row.ReadAt)
		now, deadline := b.clock.Now(), time.Duration(row.Job.AttemptDeadlineSeconds)*time.Second
		o := runs.New(claimOf(db.GetLeasedRow(row)))
		o.Resume(row.LeasedAt)
		err := fmt.Errorf("%w after %s", runs.ErrDeadline, deadline)
		if row.CancelReason != nil {
			err = runs.Canceled{Reason: *row.CancelReason}
		}
		o.End(now, nil, err)
		overdue[i] = &o
	}
	if _, _, err = b.outcomes.Batch(ctx, overdue); err != nil {
		return 0, err
	}
	for _, row := range rows {
		b.forgetLease(ctx, row.LeaseID) // so that its worker is told at its next heartbeat
	}
	return int64(len(rows)), nil
}

// leased reads a run that a worker holds.
func (b *Broker) leased(ctx context.Context, run uuid.UUID, token int64) (row db.GetLeasedRow, err error) {
	scheduledFor, jobTail, ok := runid.Parse(run)
	if !ok {
		return row, ErrLost
	}
	row, err = b.queries.GetLeased(ctx, db.GetLeasedParams{ScheduledFor: scheduledFor, JobTail: jobTail, Token: token})
	if errors.Is(err, pgx.ErrNoRows) {
		return row, ErrLost
	}
	if err != nil {
		return row, fmt.Errorf("get the leased run: %w", err)
	}
	return row, nil
}

// forgetLease deletes a worker's lease when nothing is left under it, also where the worker has gone when it had said so.
func (b *Broker) forgetLease(ctx context.Context, id uuid.UUID) {
	if err := b.queries.ForgetLease(context.WithoutCancel(ctx), id); err != nil {
		b.Logger.WarnContext(ctx, "a lease is left to run out", "error", err)
	}
}

// claimOf is the claim under which a worker holds a run. All queries for such a run return the same columns.
func claimOf(row db.GetLeasedRow) db.ClaimRow {
	return db.ClaimRow{
		JobID: row.JobID, ScheduledFor: row.ScheduledFor, ReadyAt: row.ReadyAt, CarriesSchedule: row.CarriesSchedule, Queue: row.Queue,
		Trigger: row.Trigger, RetryOf: row.RetryOf, Token: row.Token, Attempt: row.Attempt, StartedAt: row.StartedAt,
		CancelReason: row.CancelReason, FailedAttempts: row.FailedAttempts, BufferedFor: row.BufferedFor,
		Revision: row.Revision, RevisedAt: row.RevisedAt, RunCount: row.RunCount, Failures: row.Failures, Job: row.Job,
		ReadAt: row.ReadAt,
	}
}
