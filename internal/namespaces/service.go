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
	// Announce tells that something has become due at an instant in a queue of a cell, or in none
	// if its name is empty. It must not block. Default: it is found out later.
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
		after := change.applyTo(before)
		suspendedAt, err := change.suspendedAt(ctx, q, before.SuspendedAt)
		if err != nil {
			return err
		}
		row, err = q.UpdateNamespace(ctx, db.UpdateNamespaceParams{
			Name: name, Description: after.Description, MaxJobs: after.MaxJobs, MinIntervalSeconds: after.MinIntervalSeconds,
			RequestsPerSecond: after.RequestsPerSecond, RunRetentionDays: after.RunRetentionDays, Blackouts: after.Blackouts,
			SuspendedAt: suspendedAt,
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
			q, err := tx.In(ctx, caller)
			if err != nil {
				return err
			}
			if err := audit.RecordApart(ctx, q, by, []audit.Entry{entry}); err != nil {
				return err
			}
			by.RequestID = audit.WithoutAttempt(by.RequestID)
		}
		q, err := tx.In(ctx, of.cell)
		if err != nil {
			return err
		}
		if err := audit.Record(ctx, q, by, entry); err != nil {
			return err
		}
		if q, err = tx.In(ctx, cells.First); err != nil {
			return err
		}
		return q.NotifyAccess(ctx)
	})
}
