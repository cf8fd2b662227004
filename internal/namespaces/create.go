package namespaces

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/cells"
	"punctual/internal/jobs"
)

// Create stores a namespace in a cell. It returns a Conflict if there is one of this name, or an
// Invalid.
func (s *Service) Create(ctx context.Context, by access.Caller, given Change) (View, error) {
	row := given.applyTo(db.Namespace{})
	if err := s.check(given); err != nil {
		return View{}, err
	}
	cell, err := s.choose(ctx, given.Cell)
	if err != nil {
		return View{}, err
	}
	err = s.transact(ctx, by, place{row.Name, cell}, "createNamespace", given.fields(), func(tx *cells.Transaction) error {
		if err := s.place(ctx, tx, row.Name, cell); err != nil {
			return err
		}
		q, err := tx.In(ctx, cell)
		if err != nil {
			return err
		}
		suspendedAt, err := given.suspendedAt(ctx, q, nil)
		if err != nil {
			return err
		}
		row, err = q.CreateNamespace(ctx, db.CreateNamespaceParams{
			Name: row.Name, Description: row.Description, MaxJobs: row.MaxJobs, MinIntervalSeconds: row.MinIntervalSeconds,
			RequestsPerSecond: row.RequestsPerSecond, RunRetentionDays: row.RunRetentionDays, Blackouts: row.Blackouts, SuspendedAt: suspendedAt,
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return exists(ctx, q, given.Name)
		}
		return err
	})
	if err != nil {
		return View{}, err
	}
	s.Cells.Forget()
	return s.view(ctx, row, cell)
}

// choose returns the cell for a new namespace: the one that has a name, or the least loaded one if
// it is empty. It returns an Invalid if there is no such cell.
func (s *Service) choose(ctx context.Context, name string) (string, error) {
	if name == "" {
		return s.Cells.LeastLoaded(ctx)
	}
	cell, err := s.Cells.ByName(ctx, name)
	if errors.Is(err, cells.ErrUnknown) {
		return "", &jobs.Invalid{Fields: []jobs.Field{{Name: "cell", Code: jobs.NotFound, Detail: "there is no such cell"}}}
	}
	return cell, err
}

// place notes in which cell a new namespace is to be. It returns a Conflict if there is one of this
// name in another cell.
func (s *Service) place(ctx context.Context, tx *cells.Transaction, name, cell string) error {
	q, err := tx.In(ctx, cells.First)
	if err != nil {
		return err
	}
	n, err := q.Place(ctx, db.PlaceParams{Namespace: name, Cell: cell})
	if err != nil {
		return fmt.Errorf("note the cell of the namespace: %w", err)
	}
	if n == 0 {
		return s.placeAnew(ctx, tx, name, cell)
	}
	_, err = q.GetNamespace(ctx, name) // one that was there before there were other cells
	switch {
	case cell == cells.First || errors.Is(err, pgx.ErrNoRows):
		return nil // CreateNamespace finds one that is in the same cell
	case err != nil:
		return fmt.Errorf("look for the namespace in the first cell: %w", err)
	default:
		return exists(ctx, q, name)
	}
}

// placeAnew is place for a name that a namespace has or had. It returns a Conflict if its cell has
// the namespace, even a deleted one.
func (s *Service) placeAnew(ctx context.Context, tx *cells.Transaction, name, cell string) error {
	q, err := tx.In(ctx, cells.First)
	if err != nil {
		return err
	}
	at, err := q.LockPlacement(ctx, name)
	if err != nil {
		return fmt.Errorf("look where the namespace is: %w", err)
	}
	of, err := tx.In(ctx, at)
	if err != nil {
		return err
	}
	if _, err := of.GetNamespace(ctx, name); !errors.Is(err, pgx.ErrNoRows) {
		return exists(ctx, of, name)
	}
	if q, err = tx.In(ctx, cells.First); err != nil {
		return err
	}
	if err := q.DeleteKeysOf(ctx, name); err != nil {
		return fmt.Errorf("delete the keys of the namespace that had the name: %w", err)
	}
	return q.PlaceAnew(ctx, db.PlaceAnewParams{Namespace: name, Cell: cell})
}

const whyExists = "There is a namespace with this name."

// exists returns why there cannot be a namespace of a name in a cell.
func exists(ctx context.Context, q *db.Queries, name string) error {
	row, err := q.GetNamespace(ctx, name)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("read the namespace: %w", err)
	}
	detail := whyExists
	if row.DeletedAt != nil {
		detail = "A namespace with this name was deleted. The name is free again when the runs of its jobs are gone."
	}
	return &jobs.Conflict{Code: Exists, Detail: detail}
}
