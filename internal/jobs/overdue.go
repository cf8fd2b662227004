package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/internal/database"
	"punctual/internal/events"
)

// expectSuccess expects the next success of an edited job, if that has changed. The time begins
// anew, too, when the job goes on after it was completed: nothing was expected of it meanwhile.
func (e *edit) expectSuccess(ctx context.Context, after *Definition) error {
	before, now := e.job.ExpectSuccessWithinSeconds, after.ExpectSuccessWithinSeconds
	isSame := (before == nil) == (now == nil) && (now == nil || *before == *now)
	goesOn := now != nil && e.job.Status == db.JobStatusCOMPLETED && after.Status != db.JobStatusCOMPLETED
	if isSame && !goesOn {
		return nil
	}
	return e.expect(ctx, after.ID)
}

// expectNew is expectSuccess for new jobs.
func (e *edit) expectNew(ctx context.Context, all []newcomer) error {
	var ids []uuid.UUID
	for i := range all {
		if all[i].ExpectSuccessWithinSeconds != nil {
			ids = append(ids, all[i].ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return e.expect(ctx, ids...)
}

func (e *edit) expect(ctx context.Context, ids ...uuid.UUID) error {
	if err := e.ExpectSuccesses(ctx, db.ExpectSuccessesParams{Namespace: e.by.Namespace, JobIds: ids}); err != nil {
		return fmt.Errorf("expect successes: %w", err)
	}
	return nil
}

// pageOfOverdue is how many overdue jobs one transaction tells of.
const pageOfOverdue = 100

// TellOverdue tells of the jobs that have not succeeded in time, once of each. It returns in how
// long the next success is expected. Several instances may do it at once: each job is told by one,
// in the transaction that notes it.
func (s *Service) TellOverdue(ctx context.Context) (next time.Duration, err error) {
	for isLeft := true; ; {
		if next, err = s.queries.NextOverdue(ctx); err != nil {
			return 0, fmt.Errorf("read when the next success is expected: %w", err)
		}
		if next > 0 || !isLeft {
			return max(next, 0), nil
		}
		told, err := s.tellOverdue(ctx)
		if err != nil {
			return 0, err
		}
		isLeft = told > 0 // otherwise another instance tells of it, or nothing was expected any more
	}
}

// tellOverdue tells of some of the jobs, and returns of how many.
func (s *Service) tellOverdue(ctx context.Context) (told int, err error) {
	var committed func()
	var rows []db.TakeOverdueRow
	err = pgx.BeginTxFunc(ctx, s.Pool, database.Locking, func(tx pgx.Tx) (err error) {
		q := db.New(tx)
		if rows, err = q.TakeOverdue(ctx, pageOfOverdue); err != nil {
			return fmt.Errorf("look for jobs that have not succeeded in time: %w", err)
		}
		what := make([]events.Event, len(rows))
		for i := range rows {
			row := &rows[i]
			what[i] = events.OfJob(events.JobOverdue, &row.Job, events.Change{
				At: row.ReadAt, ConsecutiveFailures: int32(row.Failures), OverdueSince: row.OverdueSince,
			})
		}
		committed, err = s.Events.Tell(ctx, q, what...)
		return err
	})
	if err != nil {
		return 0, err
	}
	committed()
	for i := range rows {
		s.Logger.WarnContext(ctx, "a job has not succeeded in time",
			"namespace", rows[i].Job.Namespace, "jobId", rows[i].Job.ID, "since", rows[i].OverdueSince)
	}
	return len(rows), nil
}
