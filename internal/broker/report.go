package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/executor"
	"punctual/internal/runid"
	"punctual/internal/runs"
	"punctual/internal/sanitize"
)

// ErrNotLeased says that a run, or a lease, is no longer the worker's, or never was. What the
// worker has done or reports changes nothing.
var ErrNotLeased = errors.New("the lease has expired, or the run was leased anew")

// End stores how an attempt of a leased run ended. The error is as of executor.Executor; nil if the
// attempt succeeded. It returns ErrNotLeased if the token is not that of the run's claim.
func (b *Broker) End(ctx context.Context, by access.Caller, run uuid.UUID, token int64, output string, failure error) error {
	row, err := b.leased(ctx, by, run, token)
	if err != nil {
		return err
	}
	b.clock.Observe(row.ReadAt)
	now := b.clock.Now()
	if failure != nil && row.Claimed.CancelReason != nil {
		failure = runs.Canceled{Reason: *row.Claimed.CancelReason}
	}
	ended := resume(&row).End(now, result(output, now.Sub(row.LeasedAt)), failure)
	lost, err := b.save(ctx, []*runs.Ended{ended})
	if err != nil {
		return err
	}
	if lost > 0 {
		return ErrNotLeased
	}
	b.forgetLease(ctx, row.Claimed.LeaseID)
	return nil
}

// resume returns the attempt that a worker makes.
func resume(row *db.GetLeasedRow) *runs.Attempt {
	a := runs.Resume(&db.ClaimRow{Claimed: row.Claimed, Job: row.Job, ReadAt: row.ReadAt}, row.LeasedAt, row.LeasedVersion)
	a.Holder = row.Holder
	return a
}

// saveTimeout bounds storing runs that the database refuses: their worker, or other workers, wait.
const saveTimeout = 5 * time.Second

// save stores how runs ended, and returns how many of them were completed or taken over by others.
func (b *Broker) save(ctx context.Context, batch []*runs.Ended) (lost int, err error) {
	saved := b.runs.Save(ctx, batch)
	lost, err = len(saved.Lost), saved.Err
	if len(saved.Refused) == 0 {
		return lost, err
	}
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	for _, refused := range saved.Refused {
		isLost, saveErr := b.runs.SaveRefused(ctx, refused)
		if isLost {
			lost++
		}
		err = errors.Join(err, saveErr)
	}
	return lost, err
}

// result returns what a worker reported, as the history keeps it.
func result(output string, took time.Duration) *executor.Result {
	kept, isTruncated := sanitize.Text(output, executor.MaxOutput)
	return &executor.Result{Duration: took, Output: kept, OutputIsTruncated: isTruncated}
}

// Release gives a leased run back, for another worker; the attempt does not count. It returns
// ErrNotLeased if the token is not that of the run's claim.
func (b *Broker) Release(ctx context.Context, by access.Caller, run uuid.UUID, token int64) error {
	row, err := b.leased(ctx, by, run, token)
	if err != nil {
		return err
	}
	if err := b.release(ctx, row.Claimed.ScheduledFor, token, &row.Job); err != nil {
		return err
	}
	b.forgetLease(ctx, row.Claimed.LeaseID)
	return nil
}

func (b *Broker) release(ctx context.Context, scheduledFor time.Time, token int64, job *db.Job) error {
	n, err := b.queries.Release(ctx, db.ReleaseParams{JobID: job.ID, ScheduledFor: scheduledFor, Token: token})
	if err != nil {
		return fmt.Errorf("release: %w", err)
	}
	if n == 0 {
		return ErrNotLeased
	}
	if queue := job.QualifiedQueue; queue != nil {
		b.due(queue, b.clock.Now())
	}
	b.due(nil, b.clock.Now()) // an instance ends the run if it was canceled
	return nil
}

// Heartbeat extends a worker's lease, and returns when it expires now, and which of its runs were
// canceled. It returns ErrNotLeased if the lease has expired.
func (b *Broker) Heartbeat(
	ctx context.Context, by access.Caller, lease uuid.UUID,
) (expiresAt time.Time, canceled []uuid.UUID, err error) {
	expiresAt, err = b.queries.RenewWorkerLease(ctx, db.RenewWorkerLeaseParams{
		ID: lease, Namespace: by.Namespace, Queues: by.QualifiedQueues(),
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return time.Time{}, nil, ErrNotLeased
	}
	if err != nil {
		return time.Time{}, nil, fmt.Errorf("renew the lease: %w", err)
	}
	rows, err := b.queries.ListCanceledOfWorker(ctx, lease)
	if err != nil {
		return time.Time{}, nil, fmt.Errorf("list canceled runs: %w", err)
	}
	for _, row := range rows {
		canceled = append(canceled, runid.New(row.JobID, row.ScheduledFor))
	}
	return expiresAt, canceled, nil
}

// EndOverdue fails the attempts of workers that take longer than their deadline, and returns how
// many there were. All instances may do it at once: the tokens guard it.
func (b *Broker) EndOverdue(ctx context.Context) (int64, error) {
	rows, err := b.queries.ListOverdue(ctx)
	if err != nil {
		return 0, fmt.Errorf("list overdue attempts: %w", err)
	}
	overdue := make([]*runs.Ended, len(rows))
	for i := range rows {
		row := db.GetLeasedRow(rows[i])
		b.clock.Observe(row.ReadAt)
		err := fmt.Errorf("%w after %s", runs.ErrDeadline, time.Duration(row.Job.AttemptDeadlineSeconds)*time.Second)
		if row.Claimed.CancelReason != nil {
			err = runs.Canceled{Reason: *row.Claimed.CancelReason}
		}
		overdue[i] = resume(&row).End(b.clock.Now(), nil, err)
	}
	if _, err = b.save(ctx, overdue); err != nil {
		return 0, err
	}
	for i := range rows {
		b.forgetLease(ctx, rows[i].Claimed.LeaseID) // so that its worker is told at its next heartbeat
	}
	return int64(len(rows)), nil
}

// leased reads a run that a worker holds.
func (b *Broker) leased(ctx context.Context, by access.Caller, run uuid.UUID, token int64) (row db.GetLeasedRow, err error) {
	scheduledFor, jobTail, ok := runid.Parse(run)
	if !ok {
		return row, ErrNotLeased
	}
	row, err = b.queries.GetLeased(ctx, db.GetLeasedParams{
		Namespace: by.Namespace, ScheduledFor: scheduledFor, JobTail: jobTail, Token: token, Queues: by.QualifiedQueues(),
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return row, ErrNotLeased
	}
	if err != nil {
		return row, fmt.Errorf("get the leased run: %w", err)
	}
	return row, nil
}

// forgetLease deletes a worker's lease if nothing is left under it, also if the worker has gone
// since it reported.
func (b *Broker) forgetLease(ctx context.Context, id uuid.UUID) {
	if err := b.queries.ForgetLease(context.WithoutCancel(ctx), id); err != nil {
		b.Logger.WarnContext(ctx, "could not delete a worker's lease; it expires by itself", "error", err)
	}
}
