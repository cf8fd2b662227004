package history

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
)

// recentDays is how many days Recent goes back. It bounds how many partitions are read for jobs
// that have few runs.
const recentDays = 30

// Recent returns the latest runs of jobs of a namespace before an instant, newest first, by job: at
// most so many of each, those of the last 30 days.
func Recent(
	ctx context.Context, conn db.DBTX, namespace string, jobs []uuid.UUID, before time.Time, maxRows int,
) (map[uuid.UUID][]db.ListRecentRunsRow, error) {
	found := make(map[uuid.UUID][]db.ListRecentRunsRow, len(jobs))
	left := slices.Clone(jobs)
	err := Between(ctx, conn, before.AddDate(0, 0, -recentDays), before, func(q *db.Queries, since, before time.Time) error {
		if len(left) == 0 {
			return nil
		}
		rows, err := q.ListRecentRuns(ctx, db.ListRecentRunsParams{
			Namespace: namespace, JobIds: left, Since: since, Before: before, MaxRows: int32(maxRows),
		})
		if err != nil {
			return fmt.Errorf("list the latest runs of jobs: %w", err)
		}
		for _, row := range rows {
			if len(found[row.JobID]) < maxRows {
				found[row.JobID] = append(found[row.JobID], row)
			}
		}
		left = slices.DeleteFunc(left, func(id uuid.UUID) bool { return len(found[id]) == maxRows })
		return nil
	})
	return found, err
}
