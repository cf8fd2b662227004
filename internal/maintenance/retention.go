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
	return Duty{Name: "drop old runs", Every: time.Hour, Pass: func(ctx context.Context) (int64, error) {
		dropped, err := q.DropRunsPartitions(ctx, int32(days))
		if err != nil {
			return 0, fmt.Errorf("drop partitions of runs: %w", err)
		}
		if _, err := q.PurgeDeletedJobs(ctx, int32(days)); err != nil {
			return dropped, fmt.Errorf("purge deleted jobs: %w", err)
		}
		return dropped, nil
	}}
}
