package maintenance

import (
	"context"
	"fmt"
	"time"

	"punctual/gen/db"
	"punctual/internal/idempotency"
)

const (
	// idempotencyEvery is the time between two looks for requests that are not remembered any more.
	idempotencyEvery = 10 * time.Minute
	// idempotencyBatch is how many requests a pass forgets at most, in a short transaction.
	idempotencyBatch = 1000
	// nextIdempotencyAfter is the pause before the next pass if some are left.
	nextIdempotencyAfter = time.Second
)

// Idempotency forgets the requests with an Idempotency-Key that are a day old. Several instances
// may do it at once.
func Idempotency(q *db.Queries) Duty {
	return Duty{Name: "forget old requests", Every: idempotencyEvery, Pass: func(ctx context.Context) (result Result, err error) {
		result.Count, err = q.PurgeIdempotent(ctx, db.PurgeIdempotentParams{KeptFor: idempotency.KeptFor, MaxRows: idempotencyBatch})
		if err != nil {
			return result, fmt.Errorf("forget old requests: %w", err)
		}
		if result.Count == idempotencyBatch {
			result.Next = nextIdempotencyAfter
		}
		return result, nil
	}}
}
