// Package namespaces creates, changes and deletes namespaces, and knows their limits without asking
// the database for each request.
package namespaces

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/audit"
	"punctual/internal/cells"
	"punctual/internal/jobs"
)

// What the state of a namespace does not allow.
const (
	Exists    jobs.Code = "namespace-exists"
	NotEmpty  jobs.Code = "namespace-not-empty"
	IsDefault jobs.Code = "namespace-is-default"
)

// Config is what a Service needs.
type Config struct {
	// Pool leads to the first cell.
	Pool *pgxpool.Pool
	// Cells knows where namespaces are. Default: it is made with Pool.
	Cells *cells.Directory
	// RetentionDays is how many days the service keeps runs. Default: for ever. No namespace keeps
	// them longer.
	RetentionDays int
	// Announce tells that something has become due at an instant in a queue of a cell, or in none if
	// its name is empty. It must not block. Default: it is found out later.
	Announce func(cell, queue string, readyAt time.Time)
}

// Service changes namespaces. Make it with New. Safe for concurrent use.
//
// Whoever calls it has checked that the caller may change namespaces at all.
type Service struct{ Config }

// New returns a Service.
func New(c Config) *Service {
	if c.Announce == nil {
		c.Announce = func(string, string, time.Time) {}
	}
	if c.Cells == nil {
		c.Cells = cells.New(c.Pool)
	}
	return &Service{c}
}

// View is a namespace and where it is.
type View struct {
	db.Namespace
	// Cell is the name of the cell.
	Cell string
}

// view returns a namespace that is in a cell.
func (s *Service) view(ctx context.Context, row db.Namespace, cell string) (View, error) {
	name, err := s.Cells.Name(ctx, cell)
	return View{row, name}, err
}

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
		row, err = q.CreateNamespace(ctx, db.CreateNamespaceParams{
			Name: row.Name, Description: row.Description, MaxJobs: row.MaxJobs, MinIntervalSeconds: row.MinIntervalSeconds,
			RequestsPerSecond: row.RequestsPerSecond, RunRetentionDays: row.RunRetentionDays, Blackouts: row.Blackouts, IsSuspended: given.IsSuspended.Value,
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

// place notes in which cell a new namespace is to be, if there are several. It returns a Conflict if
// there is one of this name in another cell.
func (s *Service) place(ctx context.Context, tx *cells.Transaction, name, cell string) error {
	q, err := tx.In(ctx, cells.First)
	if err != nil {
		return err
	}
	others, err := q.ListCells(ctx)
	if err != nil || len(others) == 0 {
		return err
	}
	n, err := q.Place(ctx, db.PlaceParams{Namespace: name, Cell: cell})
	if err != nil {
		return fmt.Errorf("note the cell of the namespace: %w", err)
	}
	_, err = q.GetNamespace(ctx, name) // one that was there before there were other cells
	switch {
	case n == 0:
		return &jobs.Conflict{Code: Exists, Detail: whyExists}
	case cell == cells.First || errors.Is(err, pgx.ErrNoRows):
		return nil // CreateNamespace finds one that is in the same cell
	case err != nil:
		return fmt.Errorf("look for the namespace in the first cell: %w", err)
	default:
		return exists(ctx, q, name)
	}
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

// Get returns a namespace, or access.ErrNoNamespace if there is none, or not for the caller.
func (s *Service) Get(ctx context.Context, by access.Caller, name string) (View, error) {
	if !by.IsServiceWide && by.Namespace != name {
		return View{}, access.ErrNoNamespace
	}
	row, cell, err := read(ctx, s.Cells, name)
	if err != nil {
		return View{}, err
	}
	return s.view(ctx, row, cell)
}

// read returns a namespace and its cell, or access.ErrNoNamespace.
func read(ctx context.Context, directory *cells.Directory, name string) (row db.Namespace, cell string, err error) {
	if cell, err = directory.Of(ctx, name); err != nil {
		return row, cell, err
	}
	err = directory.Read(ctx, cell, func(q *db.Queries) (err error) {
		row, err = found(q.GetNamespace(ctx, name))
		return err
	})
	return row, cell, err
}

// found returns a row that was looked for by its name, or access.ErrNoNamespace.
func found(row db.Namespace, err error) (db.Namespace, error) {
	switch {
	case errors.Is(err, pgx.ErrNoRows) || row.DeletedAt != nil:
		return db.Namespace{}, access.ErrNoNamespace
	case err != nil:
		return db.Namespace{}, fmt.Errorf("read the namespace: %w", err)
	default:
		return row, nil
	}
}

// List returns at most so many namespaces of all cells by name, those after a name. A caller who is
// bound to one sees no other.
func (s *Service) List(ctx context.Context, by access.Caller, after string, most int32) (views []View, err error) {
	params := db.ListNamespacesParams{After: after, MaxRows: most}
	if !by.IsServiceWide {
		params.OnlyName = &by.Namespace
	}
	all, err := s.Cells.All(ctx)
	if err != nil {
		return nil, err
	}
	for _, cell := range all {
		var rows []db.Namespace
		err := s.Cells.Read(ctx, cell, func(q *db.Queries) (err error) {
			rows, err = q.ListNamespaces(ctx, params)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("list namespaces: %w", err)
		}
		for _, row := range rows {
			one, err := s.view(ctx, row, cell)
			if err != nil {
				return nil, err
			}
			views = append(views, one)
		}
	}
	slices.SortFunc(views, func(a, b View) int { return cmp.Compare(a.Name, b.Name) })
	return views[:min(len(views), int(most))], nil
}

// Update changes a namespace and returns it as it is then. It returns access.ErrNoNamespace, or an
// Invalid.
func (s *Service) Update(ctx context.Context, by access.Caller, name string, change Change) (View, error) {
	if err := s.check(change); err != nil {
		return View{}, err
	}
	cell, err := s.Cells.Of(ctx, name)
	if err != nil {
		return View{}, err
	}
	var row db.Namespace
	var freed []db.FreeHeldRunsRow
	err = s.transact(ctx, by, place{name, cell}, "updateNamespace", change.fields(), func(tx *cells.Transaction) error {
		q, err := tx.In(ctx, cell)
		if err != nil {
			return err
		}
		before, err := found(q.LockNamespace(ctx, name))
		if err != nil {
			return err
		}
		after, isSuspended := change.applyTo(before), before.SuspendedAt != nil
		if change.IsSuspended.IsGiven {
			isSuspended = change.IsSuspended.Value
		}
		row, err = q.UpdateNamespace(ctx, db.UpdateNamespaceParams{
			Name: name, Description: after.Description, MaxJobs: after.MaxJobs, MinIntervalSeconds: after.MinIntervalSeconds,
			RequestsPerSecond: after.RequestsPerSecond, RunRetentionDays: after.RunRetentionDays, Blackouts: after.Blackouts,
			IsSuspended: isSuspended,
		})
		if err != nil || !change.Blackouts.IsGiven {
			return err
		}
		freed, err = freeHeld(ctx, q, name, change.Blackouts.Value, row.UpdatedAt)
		return err
	})
	if err != nil {
		return View{}, err
	}
	for _, first := range freed {
		s.Announce(cell, first.Queue, first.ReadyAt)
	}
	return s.view(ctx, row, cell)
}

// Delete hides a namespace and revokes its keys. It returns access.ErrNoNamespace, or a Conflict if
// the namespace has jobs or is the default one.
//
// An instance that has not heard of it may create a job in it for some seconds more. Maintenance
// deletes that job.
func (s *Service) Delete(ctx context.Context, by access.Caller, name string) error {
	if name == access.DefaultNamespace {
		return &jobs.Conflict{Code: IsDefault, Detail: "The namespace default cannot be deleted."}
	}
	cell, err := s.Cells.Of(ctx, name)
	if err != nil {
		return err
	}
	return s.transact(ctx, by, place{name, cell}, "deleteNamespace", nil, func(tx *cells.Transaction) error {
		q, err := tx.In(ctx, cell)
		if err != nil {
			return err
		}
		if _, err := found(q.LockNamespace(ctx, name)); err != nil {
			return err
		}
		has, err := q.CountJobs(ctx, db.CountJobsParams{Namespace: name, MaxCount: 1})
		if err != nil {
			return fmt.Errorf("look for jobs of the namespace: %w", err)
		}
		if has > 0 {
			return &jobs.Conflict{Code: NotEmpty, Detail: "The namespace has jobs. Delete them first."}
		}
		if err := q.MarkNamespaceDeleted(ctx, name); err != nil {
			return fmt.Errorf("mark the namespace as deleted: %w", err)
		}
		if q, err = tx.In(ctx, cells.First); err != nil {
			return err
		}
		if _, err := q.RevokeKeysOf(ctx, name); err != nil {
			return fmt.Errorf("revoke the keys of the namespace: %w", err)
		}
		return nil
	})
}

// place is where a namespace is.
type place struct{ namespace, cell string }

// transact makes a change of a namespace in a transaction, with what belongs to each: the entry in
// the audit of that namespace, and the announcement to all instances.
func (s *Service) transact(
	ctx context.Context, by access.Caller, of place, operation string, fields []string, do func(*cells.Transaction) error,
) error {
	caller := by.Limits.Cell
	by.Namespace = of.namespace
	return cells.Transact(ctx, s.Pool, func(tx *cells.Transaction) error {
		if err := do(tx); err != nil {
			return err
		}
		entry := audit.Entry{Operation: operation, Type: audit.Namespace, ID: of.namespace}
		if fields != nil {
			entry.Result = map[string]any{"fields": fields}
		}
		if audit.IsAttempt(by.RequestID) && caller != of.cell {
			// The attempt is in the cell of the caller, where its entry tells what it has done.
			if err := record(ctx, tx, caller, by, entry); err != nil {
				return err
			}
			by.RequestID = audit.WithoutAttempt(by.RequestID)
		}
		if err := record(ctx, tx, of.cell, by, entry); err != nil {
			return err
		}
		q, err := tx.In(ctx, cells.First)
		if err != nil {
			return err
		}
		return q.NotifyAccess(ctx)
	})
}

// record writes an entry to the audit of a cell.
func record(ctx context.Context, tx *cells.Transaction, cell string, by access.Caller, entry audit.Entry) error {
	q, err := tx.In(ctx, cell)
	if err != nil {
		return err
	}
	return audit.Record(ctx, q, by, entry)
}
