package cells

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
)

// purgeAtOnce is how many placements are read at a time.
const purgeAtOnce = 1000

// PurgePlacements forgets in which cells namespaces were that are gone there, and deletes their
// keys. It returns how many. Several instances may do it at once.
func (d *Directory) PurgePlacements(ctx context.Context) (purged int64, err error) {
	for after := ""; ; {
		rows, err := d.queries.ListPlacements(ctx, db.ListPlacementsParams{After: after, MaxRows: purgeAtOnce})
		if err != nil {
			return purged, fmt.Errorf("list where namespaces are: %w", err)
		}
		for _, row := range rows {
			isGone, err := d.purge(ctx, row)
			if err != nil {
				return purged, err
			}
			if isGone {
				purged++
			}
		}
		if len(rows) < purgeAtOnce {
			return purged, nil
		}
		after = rows[len(rows)-1].Namespace
	}
}

// purge forgets where a namespace was if it is gone. The lock keeps it from being moved or created
// meanwhile.
func (d *Directory) purge(ctx context.Context, row db.Placement) (isGone bool, err error) {
	err = d.Read(ctx, row.Cell, func(q *db.Queries) error { return exists(ctx, q, row.Namespace) })
	if !errors.Is(err, pgx.ErrNoRows) {
		return false, err
	}
	err = Transact(ctx, d.pool, func(tx *Transaction) error {
		q, err := tx.In(ctx, First)
		if err != nil {
			return err
		}
		cell, err := q.LockPlacement(ctx, row.Namespace)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("lock where a namespace is: %w", err)
		}
		if q, err = tx.In(ctx, cell); err != nil {
			return err
		}
		if err := exists(ctx, q, row.Namespace); !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if q, err = tx.In(ctx, First); err != nil {
			return err
		}
		isGone = true
		return errors.Join(q.DeleteKeysOf(ctx, row.Namespace), q.Unplace(ctx, row.Namespace))
	})
	return isGone, err
}

// exists returns pgx.ErrNoRows if a cell has no such namespace, not even a deleted one.
func exists(ctx context.Context, q *db.Queries, namespace string) error {
	_, err := q.GetNamespace(ctx, namespace)
	if err != nil {
		return fmt.Errorf("look for the namespace %s: %w", namespace, err)
	}
	return nil
}
