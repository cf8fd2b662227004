package maintenance

import (
	"context"
	"fmt"
	"time"

	"punctual/gen/db"
)

// sessionBatch is how many sessions a pass deletes at most, in a short transaction.
const sessionBatch = 1000

// Sessions deletes the sessions of the dashboard that have expired. Several instances may do it at
// once.
func Sessions(q *db.Queries) Duty {
	return Duty{Name: "forget old sessions", Every: time.Hour, Pass: func(ctx context.Context) (result Result, err error) {
		result.Count, err = q.PurgeSessions(ctx, sessionBatch)
		if err != nil {
			return result, fmt.Errorf("forget old sessions: %w", err)
		}
		if result.Count == sessionBatch {
			result.Next = time.Second
		}
		return result, nil
	}}
}
