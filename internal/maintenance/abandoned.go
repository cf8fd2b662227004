package maintenance

import (
	"context"
	"fmt"
	"time"

	"punctual/gen/db"
)

// Abandoned frees the runs of instances and workers that are gone: those whose lease ran out before it was renewed. Together with
// the lease's duration, its interval bounds how long a dead instance's runs wait. When there were any, it calls freed: they
// are due already.
func Abandoned(q *db.Queries, freed func()) Duty {
	return Duty{Name: "free abandoned runs", Every: 5 * time.Second, Pass: func(ctx context.Context) (int64, error) {
		n, err := q.FreeAbandoned(ctx)
		if err != nil {
			return 0, fmt.Errorf("free the runs of expired leases: %w", err)
		}
		if n > 0 {
			freed()
		}
		return n, nil
	}}
}
