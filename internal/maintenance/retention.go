package maintenance

import (
	"context"
	"fmt"
	"time"

	"punctual/gen/db"
)

// retentionEvery is the time between two looks for what is old.
const retentionEvery = time.Hour

// Retention drops the runs of days that are further back than the given number of days, by whole partitions, and the
// deleted jobs that were kept for their sake. While it waits for somebody who reads runs, all others wait behind it, so one that has
// given up is not tried again soon.
func Retention(q *db.Queries, days int) Duty {
	return Duty{Name: "drop old runs", Every: retentionEvery, Pass: func(ctx context.Context) (Result, error) {
		dropped, err := q.DropRunsPartitions(ctx, int32(days))
		if err != nil {
			return Result{Next: retentionEvery}, fmt.Errorf("drop partitions of runs: %w", err)
		}
		if _, err := q.PurgeDeletedJobs(ctx, int32(days)); err != nil {
			return Result{Count: dropped}, fmt.Errorf("purge deleted jobs: %w", err)
		}
		return Result{Count: dropped}, nil
	}}
}
