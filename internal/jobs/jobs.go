// Package jobs puts jobs and runs on what is due, and takes them off, each change in a transaction under the job's lock.
//
// A job whose runs may not overlap has but one row there that anybody can claim, at any time: what is started by hand takes
// that row's place, or waits behind it, and an edited schedule goes on from it. So no two can ever be claimed at once.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/gen/db"
	"punctual/internal/database"
	"punctual/internal/policy"
)

// maxDeadlocks is how often a change is tried again.
const maxDeadlocks = 5

// Change runs do in a transaction. A change locks the job and then its due rows, a completion after which the job rests
// does it the other way round: should the two meet, PostgreSQL ends one of them, and it is done again.
func Change(ctx context.Context, pool *pgxpool.Pool, do func(*db.Queries) error) (err error) {
	for range maxDeadlocks {
		err = pgx.BeginTxFunc(ctx, pool, database.Locking, func(tx pgx.Tx) error { return do(db.New(tx)) })
		if deadlock, ok := errors.AsType[*pgconn.PgError](err); !ok || deadlock.Code != pgerrcode.DeadlockDetected {
			break
		}
	}
	return err
}

// Locked is a job under its lock.
type Locked struct {
	Job db.Job
	// LockedAt is the database's time since then: later than whatever was stored under the lock before. Read together with the
	// job it would be of before the wait for the lock.
	LockedAt time.Time
}

// LockJob locks a job until the transaction ends. It returns pgx.ErrNoRows where there is no such job.
func LockJob(ctx context.Context, q *db.Queries, id uuid.UUID) (l Locked, err error) {
	if l.Job, err = q.LockJob(ctx, id); err != nil {
		return Locked{}, fmt.Errorf("lock the job: %w", err)
	}
	if l.LockedAt, err = q.DatabaseTime(ctx); err != nil {
		return Locked{}, fmt.Errorf("ask for the time: %w", err)
	}
	return l, nil
}

// NeverDueError names what keeps a job from being due ever again, a field of its definition.
type NeverDueError struct{ Field, Detail string }

func (e NeverDueError) Error() string { return e.Field + " " + e.Detail }

// First returns when a job is due first after now. The error is a NeverDueError, or what is stored cannot be.
func First(job *db.Job, now time.Time) (time.Time, error) {
	when, err := policy.Schedule(job)
	if err != nil {
		return time.Time{}, err
	}
	if job.MaxRuns != nil && job.RunCount >= *job.MaxRuns {
		return time.Time{}, NeverDueError{"maxRuns", fmt.Sprintf("the job has run %d times", job.RunCount)}
	}
	next, ok := when.Next(now)
	switch {
	case ok:
		return next, nil
	case job.RunAt != nil && job.StartAt != nil && job.StartAt.After(*job.RunAt):
		return time.Time{}, NeverDueError{"startAt", "must not be after runAt"}
	case job.EndAt != nil && (job.RunAt == nil || job.RunAt.After(*job.EndAt)):
		return time.Time{}, NeverDueError{"endAt", "nothing is due from now until then"}
	case job.RunAt != nil:
		return time.Time{}, NeverDueError{"runAt", "must be in the future"}
	case job.StartAt != nil:
		return time.Time{}, NeverDueError{"startAt", "nothing is due from then on"}
	default:
		return time.Time{}, NeverDueError{"cron", "is never due again"}
	}
}

// lock locks all that is still to be executed of a job. While it waits for a claim, that may put the schedule on a row of its
// own, which only another look sees. When all rows are locked there will be no more.
func lock(ctx context.Context, q *db.Queries, job uuid.UUID) ([]db.Due, error) {
	for seen := -1; ; {
		rows, err := q.LockDue(ctx, job)
		if err != nil {
			return nil, fmt.Errorf("lock what is due: %w", err)
		}
		if len(rows) == seen {
			return rows, nil
		}
		seen = len(rows)
	}
}

// isOpen tells whether a run has begun, or is due, as of now. What somebody asked for was due when it was stored.
func isOpen(row *db.Due, now time.Time) bool {
	return row.Attempt > 0 || row.Trigger != db.RunTriggerSCHEDULE || !row.ReadyAt.After(now)
}

// find returns the last row for which is holds; nil: there is none.
func find(rows []db.Due, is func(*db.Due) bool) *db.Due {
	for i := range rows {
		if row := &rows[len(rows)-1-i]; is(row) {
			return row
		}
	}
	return nil
}

func carriesSchedule(row *db.Due) bool { return row.CarriesSchedule }

// triggerOf returns why there is a run that somebody asked for.
func triggerOf(retryOf *time.Time) db.RunTrigger {
	if retryOf == nil {
		return db.RunTriggerMANUAL
	}
	return db.RunTriggerRETRY
}
