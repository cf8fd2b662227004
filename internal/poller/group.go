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

// claimGrouped claims up to limit due runs of concurrency groups, as many as their bounds leave.
// Instances take turns with it, so that each counts what the others have claimed. Jobs without a
// group do not wait for that.
func (p *Poller) claimGrouped(held *lease.Lease, limit int) (rows []db.ClaimRow, err error) {
	var claimed []db.ClaimGroupedRow
	begun := time.Now()
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
	p.measureClaim(runs.ClaimGroups, len(claimed), begun, err)
	if err != nil {
		p.lost()
		return nil, fmt.Errorf("claim runs of concurrency groups: %w", err)
	}
	for _, row := range claimed {
		rows = append(rows, db.ClaimRow(row))
	}
	if len(rows) > 0 {
		p.claims.add(rows[0].Claimed.Token, len(rows))
	}
	return rows, nil
}
