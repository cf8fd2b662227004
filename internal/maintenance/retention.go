package maintenance

import (
	"context"
	"fmt"
	"time"

	"punctual/gen/db"
)

// Retention drops the runs of days that are further back than the given number of days, by whole partitions, and the
// deleted jobs that were kept for their sake.
func Retention(q *db.Queries, days int) Duty {
	return Duty{Name: "drop old runs", Every: time.Hour, Pass: func(ctx context.Context) (Result, error) {
		dropped, err := q.DropRunsPartitions(ctx, int32(days))
		if err != nil {
			return Result{}, fmt.Errorf("drop partitions of runs: %w", err)
		}
		if _, err := q.PurgeDeletedJobs(ctx, int32(days)); err != nil {
			return Result{Count: dropped}, fmt.Errorf("purge deleted jobs: %w", err)
		}
		return Result{Count: dropped}, nil
	}}
}
