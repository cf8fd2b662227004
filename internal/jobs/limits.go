package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/database"
	"punctual/internal/schedule"
)

var errSuspended = &Conflict{NamespaceSuspended, "The namespace is suspended: nothing new may begin in it."}

// mayBegin returns a Conflict if nothing new may begin in the caller's namespace.
func mayBegin(by access.Caller) error {
	if by.Limits.IsSuspended {
		return errSuspended
	}
	return nil
}

// withRoom calls do on a connection, for it to create a number of jobs in the caller's namespace.
// It returns a Conflict if the namespace may not have that many more.
//
// Only a namespace with a limit pays for it: with a transaction in which creations wait for each
// other, and a count up to the limit. The caller's limit may be some seconds old; what counts is
// the one that the row has.
func withRoom(
	ctx context.Context, conn *pgxpool.Conn, by access.Caller, jobs int32, holdsCalendars bool, do func(storing) error,
) error {
	if by.Limits.MaxJobs == nil && !holdsCalendars {
		together := database.Together(conn)
		return do(storing{db.New(together), db.New(together.Later())})
	}
	return database.TransactOn(ctx, conn, func(tx *database.Tx) error {
		if by.Limits.MaxJobs != nil {
			if err := checkRoom(ctx, db.New(tx), by.Namespace, jobs); err != nil {
				return err
			}
		}
		return do(storing{db.New(tx), db.New(tx.Later())})
	})
}

// makeRoom returns a Conflict if the caller's namespace may not have that many more jobs, which are
// about to be created in the transaction. Less than one stands for jobs that take the place of
// others.
func (e *edit) makeRoom(ctx context.Context, jobs int) error {
	if err := mayBegin(e.by); err != nil || e.by.Limits.MaxJobs == nil {
		return err
	}
	return checkRoom(ctx, e.Queries, e.by.Namespace, int32(jobs))
}

// checkRoom locks a namespace and returns a Conflict if it has no room for that many more jobs.
func checkRoom(ctx context.Context, tx *db.Queries, namespace string, jobs int32) error {
	row, err := tx.LockNamespace(ctx, namespace)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return access.ErrMoving // or it is gone, which a repeated request finds out
	case row.DeletedAt != nil:
		return access.ErrNoNamespace
	case err != nil:
		return fmt.Errorf("lock the namespace: %w", err)
	case row.SuspendedAt != nil:
		return errSuspended
	case row.MaxJobs == nil || jobs < 1:
		return nil
	}
	has, err := tx.CountJobs(ctx, db.CountJobsParams{Namespace: namespace, MaxCount: *row.MaxJobs})
	if err != nil {
		return fmt.Errorf("count the jobs of the namespace: %w", err)
	}
	if has+int64(jobs) > int64(*row.MaxJobs) {
		return &Conflict{TooManyJobs, fmt.Sprintf(
			"The namespace may have %d jobs (maxJobs), and has no room for %d more.", *row.MaxJobs, jobs)}
	}
	return nil
}

// checkPace returns the field of a schedule whose occurrences are closer to each other than the
// caller's namespace allows. before is the job as it was, or nil if it is new: a schedule that a
// change leaves alone stays. Calendars do not count.
func checkPace(job, before *Definition, by access.Caller) []Field {
	if by.Limits.MinIntervalSeconds == nil {
		return nil
	}
	least := int64(*by.Limits.MinIntervalSeconds)
	if isNew(before, func(j *Definition) *int64 { return j.IntervalSeconds }, job) && *job.IntervalSeconds < least {
		return []Field{{"intervalInSeconds", TooSmall, fmt.Sprintf("must be at least %d in this namespace", least)}}
	}
	if isNew(before, func(j *Definition) *string { return j.Rrule }, job) {
		rule, err := schedule.ParseRule(*job.Rrule, time.UTC)
		if err != nil {
			return nil //nolint:nilerr // another check says so
		}
		return checkGap("rrule", rule, least)
	}
	if !isNew(before, func(j *Definition) *string { return j.Cron }, job) {
		return nil
	}
	// By the clock of UTC, which is never changed: a daily job is daily, although one of its days
	// in a zone has 23 hours.
	cron, err := schedule.ParseCron(*job.Cron, time.UTC, schedule.Seed(job.ID))
	if err != nil {
		return nil //nolint:nilerr // another check says so
	}
	return checkGap("cron", cron, least)
}

// checkGap returns the field of a grid that has two instants less than so many seconds apart.
func checkGap(field string, grid schedule.Grid, least int64) []Field {
	if gap := shortestGap(grid, time.Duration(least)*time.Second); gap > 0 {
		return []Field{{field, TooSmall, fmt.Sprintf(
			"names times that are %d seconds apart; in this namespace they must be at least %d", gap/time.Second, least)}}
	}
	return nil
}

// isNew reports whether a job has a value that it did not have before.
func isNew[T comparable](before *Definition, field func(*Definition) *T, job *Definition) bool {
	value := field(job)
	if value == nil || before == nil || field(before) == nil {
		return value != nil
	}
	return *value != *field(before)
}

// pacedOccurrences is how many occurrences are searched for two that are too close to each other.
// Within a day, a cron expression combines each hour with each minute and each second, so the
// closest two come early. The last of a day and the first of the next may be closer still. A
// thousand occurrences span several days, unless they are dense, and then others are as close.
const pacedOccurrences = 1000

// shortestGap returns the first gap between two occurrences that is shorter than least, or zero.
func shortestGap(grid schedule.Grid, least time.Duration) time.Duration {
	var last time.Time
	found := 0
	for next := range (schedule.Schedule{Grid: grid}).After(time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)) {
		if gap := next.Sub(last); !last.IsZero() && gap < least {
			return gap
		}
		if last, found = next, found+1; found > pacedOccurrences {
			break
		}
	}
	return 0
}
