package maintenance

import (
	"context"
	"fmt"
	"time"

	"punctual/gen/db"
)

const (
	// abandonedEvery is the longest time between two looks for leases that have run out. It is
	// shorter than what is left of an instance's lease when it is renewed, six seconds, so while
	// all instances renew in time, no look is early. It bounds how late a look finds what the one
	// before could not know: a worker's short lease taken since, or a run claimed by an instance
	// whose lease had run out when the claim was committed.
	abandonedEvery = 5 * time.Second
	// minAbandonedEvery is the shortest time, because many workers with short leases, or leases
	// that are renewed late, must not cost a look each. So the runs of an instance continue
	// elsewhere at most that much after its lease has run out.
	minAbandonedEvery = time.Second
	// moreAbandonedAfter is the pause before the next look if this one did not free everything.
	moreAbandonedAfter = 10 * time.Millisecond
)

// Abandoned frees the runs of instances and workers that are gone, which are those whose lease ran
// out before it was renewed. It looks again when the next lease runs out. If a pass freed any, it
// calls freed: they are due already.
func Abandoned(q *db.Queries, freed func()) Duty {
	return Duty{Name: "free abandoned runs", Every: abandonedEvery, Pass: func(ctx context.Context) (Result, error) {
		row, err := q.FreeAbandoned(ctx)
		if err != nil {
			return Result{}, fmt.Errorf("free the runs of expired leases: %w", err)
		}
		if row.Freed > 0 {
			freed()
		}
		result := Result{Count: row.Freed, Next: min(max(row.NextExpiryIn, minAbandonedEvery), abandonedEvery)}
		if row.More {
			result.Next = moreAbandonedAfter
		}
		return result, nil
	}}
}
