package maintenance

import (
	"context"
	"fmt"
	"time"

	"punctual/gen/db"
)

const (
	// abandonedEvery is the longest time between two looks for leases that have run out. It is shorter than what an instance's
	// lease has left when it is renewed, six seconds: so while all renew theirs in time, no look is brought forward. It bounds for
	// how long goes unseen what the look before could not know of: a worker's short lease made since, or a run claimed by an
	// instance whose lease was gone when that was committed.
	abandonedEvery = 5 * time.Second
	// abandonedLeast is the shortest: many workers whose leases are short, or renewed late, are not to cost a look each. With it,
	// an instance's runs go on elsewhere at most that much after its lease has run out.
	abandonedLeast = time.Second
)

// Abandoned frees the runs of instances and workers that are gone: those whose lease ran out before it was renewed. It looks
// again when the soonest lease that is left runs out. When there were any, it calls freed: they are due already.
func Abandoned(q *db.Queries, freed func()) Duty {
	return Duty{Name: "free abandoned runs", Every: abandonedEvery, Pass: func(ctx context.Context) (Result, error) {
		row, err := q.FreeAbandoned(ctx)
		if err != nil {
			return Result{}, fmt.Errorf("free the runs of expired leases: %w", err)
		}
		if row.Freed > 0 {
			freed()
		}
		return Result{Count: row.Freed, Next: min(max(row.NextExpiryIn, abandonedLeast), abandonedEvery)}, nil
	}}
}
