package cells

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/internal/database"
	"punctual/internal/notify"
)

// Free makes the runs of a namespace be due again that were put back while it was being moved, in
// the transaction that lets it go on. It returns when the first of each queue is due.
type Free func(ctx context.Context, tx *db.Queries, namespace string) ([]db.FreeHeldRunsRow, error)

// goOn lets a namespace go on in a cell, and tells the instances when its runs are due.
func goOn(ctx context.Context, q *db.Queries, cell, namespace string, free Free) error {
	n, err := q.EndMove(ctx, namespace)
	if err != nil {
		return fmt.Errorf("let the namespace go on: %w", err)
	}
	if n == 0 {
		return nil // it does already
	}
	freed, err := free(ctx, q, namespace)
	if err != nil {
		return err
	}
	// This commit may wait for others that notify. Moves are rare, so that does not matter.
	due := db.NotifyDueParams{Suffix: notify.Suffix(cell)}
	for _, first := range freed {
		due.Queues, due.UnixMicros = append(due.Queues, first.Queue), append(due.UnixMicros, first.ReadyAt.UnixMicro())
	}
	return errors.Join(q.NotifyDue(ctx, due), q.NotifyAccess(ctx))
}

// EndAbandonedMoves lets those namespaces of a cell go on that somebody was moving who has died. It
// returns how many. Several instances may do it at once. The pool leads to the cell.
func EndAbandonedMoves(ctx context.Context, pool Pool, cell string, free Free) (ended int64, err error) {
	names, err := db.New(pool).ListMoving(ctx)
	if err != nil {
		return 0, fmt.Errorf("list the namespaces that are being moved: %w", err)
	}
	for _, name := range names {
		err := pgx.BeginTxFunc(ctx, pool, database.Locking, func(tx pgx.Tx) error {
			q := db.New(tx)
			isAbandoned, err := q.LockAbandonedMove(ctx, name)
			if err != nil || !isAbandoned {
				return err
			}
			ended++
			return goOn(ctx, q, cell, name, free)
		})
		if err != nil {
			return ended, err
		}
	}
	return ended, nil
}
