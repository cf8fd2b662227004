package maintenance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/internal/clock"
	"punctual/internal/history"
)

const (
	// jobsPerStep and runsPerStep bound one transaction of the retention of namespaces, and
	// stepsPerPass the transactions that delete something in one pass.
	jobsPerStep  = 200
	runsPerStep  = 5000
	stepsPerPass = 20
)

// NamespaceRetention deletes the runs that are older than their namespace keeps them, oldest first,
// and then the deleted jobs that were kept because of those runs. days is how many days the service
// itself keeps runs; 0 is for ever.
//
// A namespace shares the partitions of runs with all others, so its runs are deleted one by one. A
// partition that is done is noted, and whoever comes next goes on behind it.
func NamespaceRetention(conn db.DBTX, days int) Duty {
	q := db.New(conn)
	return Duty{Name: "delete old runs of namespaces", Every: retentionEvery, Pass: func(ctx context.Context) (Result, error) {
		pass := retentionPass{Queries: q, runs: history.Queries(conn)}
		old, err := q.ListNamespacesWithOldRuns(ctx)
		if err != nil {
			return Result{}, fmt.Errorf("look for namespaces with old runs: %w", err)
		}
		for _, n := range old {
			if err := pass.namespace(ctx, n); err != nil {
				return Result{Count: pass.deleted}, fmt.Errorf("delete the old runs of %s: %w", n.Name, err)
			}
		}
		if pass.steps >= stepsPerPass {
			return Result{Count: pass.deleted, Next: nextDropsAfter}, nil
		}
		if _, err := q.PurgeDeletedJobs(ctx, int32(days)); err != nil {
			return Result{Count: pass.deleted}, fmt.Errorf("purge deleted jobs: %w", err)
		}
		return Result{Count: pass.deleted}, nil
	}}
}

// retentionPass is one pass: how many runs it has deleted, and in how many transactions.
type retentionPass struct {
	*db.Queries
	// runs has the statement that deletes runs, which must not lock all partitions.
	runs    *db.Queries
	deleted int64
	steps   int
}

// namespace deletes the old runs of one namespace, until the pass has made its steps.
func (p *retentionPass) namespace(ctx context.Context, n db.ListNamespacesWithOldRunsRow) error {
	for since := n.Since; since.Before(n.Before) && p.steps < stepsPerPass; {
		partition, err := p.OldestRunsDays(ctx, db.OldestRunsDaysParams{Since: since, Before: n.Before})
		before := n.Before
		switch {
		case err == nil:
			since = clock.Later(since, partition.FirstDay)
			before = clock.Earlier(partition.LastDay.AddDate(0, 0, 1), n.Before)
			if isDone, err := p.partition(ctx, n, since, before); err != nil || !isDone {
				return err
			}
		case !errors.Is(err, pgx.ErrNoRows):
			return fmt.Errorf("find the oldest partition: %w", err)
		}
		noted, err := p.NoteRunsDeleted(ctx, db.NoteRunsDeletedParams{Name: n.Name, Days: n.Days, Before: before})
		if err != nil {
			return fmt.Errorf("note that runs are deleted: %w", err)
		}
		if noted == 0 {
			return nil // its retention has changed; the next pass goes by the new one
		}
		since = before
	}
	return nil
}

// partition deletes the runs of a namespace from one instant on and before another, in one
// partition. It reports whether none is left.
func (p *retentionPass) partition(
	ctx context.Context, namespace db.ListNamespacesWithOldRunsRow, since, before time.Time,
) (isDone bool, err error) {
	after := db.ListJobsWithRunsParams{
		Namespace: namespace.Name, AfterCreatedAt: clock.EndOfTime, MaxRows: jobsPerStep,
	}
	for {
		jobs, err := p.ListJobsWithRuns(ctx, after)
		if err != nil {
			return false, fmt.Errorf("list jobs: %w", err)
		}
		if len(jobs) == 0 {
			return true, nil
		}
		ids := make([]uuid.UUID, len(jobs))
		for i, job := range jobs {
			ids[i] = job.ID
		}
		for isFull := true; isFull; {
			if p.steps >= stepsPerPass {
				return false, nil
			}
			n, err := p.runs.DeleteRunsOfJobs(ctx, db.DeleteRunsOfJobsParams{
				Namespace: namespace.Name, Days: namespace.Days, JobIds: ids, Since: since, Before: before, MaxRows: runsPerStep,
			})
			if err != nil {
				return false, fmt.Errorf("delete runs: %w", err)
			}
			p.deleted += n.Deleted
			if isFull = n.Found == runsPerStep; n.Found > 0 {
				p.steps++
			}
		}
		last := jobs[len(jobs)-1]
		after.AfterCreatedAt, after.AfterID = last.CreatedAt, last.ID
	}
}

// Purge removes deleted namespaces when nothing of them is left.
func Purge(q *db.Queries) Duty {
	return Duty{Name: "remove deleted namespaces", Every: time.Minute, Pass: func(ctx context.Context) (Result, error) {
		n, err := q.PurgeNamespaces(ctx)
		if err != nil {
			return Result{}, fmt.Errorf("remove deleted namespaces: %w", err)
		}
		return Result{Count: n}, nil
	}}
}
