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
	"punctual/internal/runid"
	"punctual/internal/runs"
)

// Release gives a leased run back, for another worker; the attempt does not count. It returns
// ErrNotLeased if the token is not that of the run's claim.
func (b *Broker) Release(ctx context.Context, by access.Caller, run uuid.UUID, token int64) error {
	scheduledFor, jobTail, ok := runid.Parse(run)
	if !ok {
		return ErrNotLeased
	}
	rows, err := b.leased(ctx, []*report{{Report: Report{Run: run, Token: token}, by: by, scheduledFor: scheduledFor, jobTail: jobTail}})
	if err != nil {
		return err
	}
	row := rows[0]
	if row == nil {
		return ErrNotLeased
	}
	if err := b.release(ctx, row.Claimed.ScheduledFor, token, &row.Job); err != nil {
		return err
	}
	b.forgetLeases(ctx, row.Claimed.LeaseID)
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
	if queue := job.FirstQueue; queue != nil {
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
	leases := make([]uuid.UUID, len(rows))
	for i := range rows {
		row := db.ListLeasedRow(rows[i])
		b.clock.Observe(row.ReadAt)
		err := fmt.Errorf("%w after %s", runs.ErrDeadline, time.Duration(row.Job.AttemptDeadlineSeconds)*time.Second)
		if row.Claimed.CancelReason != nil {
			err = runs.Canceled{Reason: *row.Claimed.CancelReason}
		}
		overdue[i], leases[i] = resume(&row).End(b.clock.Now(), nil, err), row.Claimed.LeaseID
	}
	if err := b.save(ctx, overdue); err != nil {
		return 0, err
	}
	b.forgetLeases(ctx, leases...) // so that their workers are told at the next heartbeat
	return int64(len(rows)), nil
}

// forgetLeases deletes those leases of workers under which nothing is left, also if the workers
// have gone since they reported.
func (b *Broker) forgetLeases(ctx context.Context, ids ...uuid.UUID) {
	b.forget(ctx, db.ForgetLeasesParams{Ids: ids})
}

// forgetLeft is forgetLeases for the leases of a batch of reports, of which it says how many runs
// are left, if all reports are stored.
func (b *Broker) forgetLeft(ctx context.Context, left map[uuid.UUID]int32, allStored bool) {
	var params db.ForgetLeasesParams
	for id, n := range left {
		params.Ids = append(params.Ids, id)
		if n == 0 && allStored {
			params.EmptyIds = append(params.EmptyIds, id)
		}
	}
	b.forget(ctx, params)
}

func (b *Broker) forget(ctx context.Context, params db.ForgetLeasesParams) {
	if len(params.Ids) == 0 {
		return
	}
	if err := b.queries.ForgetLeases(context.WithoutCancel(ctx), params); err != nil {
		b.Logger.WarnContext(ctx, "could not delete leases of workers; they expire by themselves", "error", err)
	}
}
