package maintenance

import (
	"context"
	"fmt"
	"time"

	"punctual/gen/db"
)

// daysAhead is for how many days after today the partitions of runs are made. More than one, so that a duty that
// fails for a day costs nothing: making one while its runs are waiting is the exception.
const daysAhead = 3

// Partitions makes the partitions of runs for today and the next days.
func Partitions(q *db.Queries) Duty {
	return Duty{Name: "create partitions of runs", Every: time.Hour, Pass: func(ctx context.Context) (Result, error) {
		made, err := q.CreateRunsPartitionsAhead(ctx, daysAhead)
		if err != nil {
			return Result{}, fmt.Errorf("create the partitions of runs for today and %d days: %w", daysAhead, err)
		}
		return Result{Count: made}, nil
	}}
}
