package poller

import (
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/internal/database"
	"punctual/internal/lease"
	"punctual/internal/runs"
)

// claimGrouped takes up to limit due runs of concurrency groups, as many as their bounds leave. Instances take turns at
// it, so that what one has taken the next one counts; jobs without a group do not wait for that.
func (p *Poller) claimGrouped(held *lease.Lease, limit int) (rows []db.ClaimRow, err error) {
	var claimed []db.ClaimGroupedRow
	err = pgx.BeginTxFunc(held.Context, p.Pool, database.Locking, func(tx pgx.Tx) error {
		q := p.queries.WithTx(tx)
		if err := q.TakeTurn(held.Context); err != nil {
			return err
		}
		var err error
		claimed, err = q.ClaimGrouped(held.Context, db.ClaimGroupedParams{
			Token: runs.NewToken(), LeaseID: held.ID, MaxRows: int32(limit), Ahead: claimAhead,
		})
		return err
	})
	if err != nil {
		p.lostUntil = time.Now().Add(lostFor)
		return nil, fmt.Errorf("claim runs of concurrency groups: %w", err)
	}
	for _, row := range claimed {
		rows = append(rows, db.ClaimRow(row))
	}
	if len(rows) > 0 {
		p.claimed.add(rows[0].Token, len(rows))
	}
	return rows, nil
}
