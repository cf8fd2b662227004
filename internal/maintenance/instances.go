package maintenance

import (
	"context"
	"fmt"
	"time"

	"punctual/gen/db"
)

// Instances deletes what instances have left that died without notice.
func Instances(q *db.Queries) Duty {
	return Duty{Name: "forget dead instances", Every: time.Hour, Pass: func(ctx context.Context) (Result, error) {
		n, err := q.ForgetDeadInstances(ctx)
		if err != nil {
			return Result{}, fmt.Errorf("forget dead instances: %w", err)
		}
		return Result{Count: n}, nil
	}}
}
