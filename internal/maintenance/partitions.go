package maintenance

import (
	"context"
	"fmt"
	"time"

	"punctual/gen/db"
)

// daysAhead is for how many days after today the partitions of runs are created. With several, the
// duty may fail for days before a run has to wait for its partition.
const daysAhead = 3

// Partitions creates the partitions of runs for today and the next days.
func Partitions(q *db.Queries) Duty {
	return Duty{Name: "create partitions of runs", Every: time.Hour, Pass: func(ctx context.Context) (Result, error) {
		created, err := q.CreateRunsPartitionsAhead(ctx, daysAhead)
		if err != nil {
			return Result{}, fmt.Errorf("create the partitions of runs for today and %d days: %w", daysAhead, err)
		}
		return Result{Count: created}, nil
	}}
}
