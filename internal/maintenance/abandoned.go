package maintenance

import (
	"context"
	"fmt"
	"time"

	"punctual/gen/db"
)

// Abandoned frees the runs of instances that are gone: those whose lease ran out before it was renewed. Together with
// the lease's duration, its interval bounds how long a dead instance's runs wait.
func Abandoned(q *db.Queries) Duty {
	return Duty{Name: "free abandoned runs", Every: 2 * time.Second, Pass: func(ctx context.Context) (int64, error) {
		freed, err := q.FreeAbandoned(ctx)
		if err != nil {
			return 0, fmt.Errorf("free the runs of expired leases: %w", err)
		}
		if _, err := q.DeleteExpiredLeases(ctx); err != nil {
			return freed, fmt.Errorf("delete expired leases: %w", err)
		}
		return freed, nil
	}}
}
