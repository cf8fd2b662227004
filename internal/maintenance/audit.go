package maintenance

import (
	"context"
	"fmt"
	"time"

	"punctual/gen/db"
)

const (
	// auditEvery is the time between two looks for old entries of the audit.
	auditEvery = time.Hour
	// auditBatch is how many entries, and how many versions, a pass deletes at most. Each is a
	// short transaction.
	auditBatch = 5000
	// nextAuditAfter is the pause before the next pass if some are left. It bounds what deleting
	// costs the others.
	nextAuditAfter = time.Second
)

// Audit deletes the entries of the audit that are older than the given number of days, and the
// versions of jobs that were replaced before then. Several instances may do it at once.
func Audit(q *db.Queries, days int) Duty {
	return Duty{Name: "delete the old audit", Every: auditEvery, Pass: func(ctx context.Context) (result Result, err error) {
		entries, err := q.PurgeAudit(ctx, db.PurgeAuditParams{Days: int32(days), MaxRows: auditBatch})
		if err != nil {
			return result, fmt.Errorf("delete old entries of the audit: %w", err)
		}
		versions, err := q.PurgeVersions(ctx, db.PurgeVersionsParams{Days: int32(days), MaxRows: auditBatch})
		if err != nil {
			return result, fmt.Errorf("delete old versions of jobs: %w", err)
		}
		result.Count = entries + versions
		if entries == auditBatch || versions == auditBatch {
			result.Next = nextAuditAfter
		}
		return result, nil
	}}
}
