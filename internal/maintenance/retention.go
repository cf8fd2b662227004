package maintenance

import (
	"context"
	"fmt"
	"time"

	"punctual/gen/db"
)

const (
	// retentionEvery is the time between two looks for old runs.
	retentionEvery = time.Hour
	// dropsPerPass is how many partitions a pass drops at most, each in a transaction of its own.
	dropsPerPass = 50
	// nextDropsAfter is the pause before the next pass if old partitions are left.
	nextDropsAfter = time.Second
)

// Retention drops the runs of days that are further back than the given number of days, by whole
// partitions, and then the deleted jobs that were kept because of those runs.
//
// While a drop waits for somebody who reads runs, everybody else waits behind it. So after a drop
// that gave up, the next pass is not early.
func Retention(q *db.Queries, days int) Duty {
	return Duty{Name: "drop old runs", Every: retentionEvery, Pass: func(ctx context.Context) (result Result, err error) {
		for isDropped := true; isDropped && result.Count < dropsPerPass; {
			if isDropped, err = q.DropOldestRunsPartition(ctx, int32(days)); err != nil {
				result.Next = retentionEvery
				return result, fmt.Errorf("drop the oldest partition of runs: %w", err)
			}
			if isDropped {
				result.Count++
			}
		}
		if result.Left, err = q.CountOldRunsPartitions(ctx, int32(days)); err != nil {
			return result, fmt.Errorf("count the partitions of runs that are left to drop: %w", err)
		}
		if result.Left > 0 {
			result.Next = nextDropsAfter
			return result, nil
		}
		if _, err := q.PurgeDeletedJobs(ctx, int32(days)); err != nil {
			return result, fmt.Errorf("purge deleted jobs: %w", err)
		}
		return result, nil
	}}
}
