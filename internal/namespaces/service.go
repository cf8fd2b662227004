// Package namespaces creates, changes and deletes namespaces, and knows their limits without asking
// the database for each request.
package namespaces

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/audit"
	"punctual/internal/database"
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
	Pool *pgxpool.Pool
	// RetentionDays is how many days the service keeps runs. Default: for ever. No namespace keeps
	// them longer.
	RetentionDays int
	// Announce tells that something has become due at an instant in a queue, or in none if its name
	// is empty. It must not block. Default: it is found out later.
	Announce func(queue string, readyAt time.Time)
}

// Service changes namespaces. Make it with New. Safe for concurrent use.
//
// Whoever calls it has checked that the caller may change namespaces at all.
type Service struct {
	Config
	queries *db.Queries
}

// New returns a Service.
func New(c Config) *Service {
	if c.Announce == nil {
		c.Announce = func(string, time.Time) {}
	}
	return &Service{c, db.New(c.Pool)}
}

// Create stores a namespace. It returns a Conflict if there is one of this name, or an Invalid.
func (s *Service) Create(ctx context.Context, by access.Caller, given Change) (db.Namespace, error) {
	row := given.applyTo(db.Namespace{})
	if err := s.check(given); err != nil {
		return db.Namespace{}, err
	}
	err := s.transact(ctx, by, row.Name, "createNamespace", given.fields(), func(q *db.Queries) (err error) {
		row, err = q.CreateNamespace(ctx, db.CreateNamespaceParams{
			Name: row.Name, Description: row.Description, MaxJobs: row.MaxJobs, MinIntervalSeconds: row.MinIntervalSeconds,
			RequestsPerSecond: row.RequestsPerSecond, RunRetentionDays: row.RunRetentionDays, Blackouts: row.Blackouts, IsSuspended: given.IsSuspended.Value,
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return exists(ctx, q, given.Name)
		}
		return err
	})
	return row, err
}

// exists returns why there cannot be a namespace of a name.
func exists(ctx context.Context, q *db.Queries, name string) error {
	row, err := q.GetNamespace(ctx, name)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("read the namespace: %w", err)
	}
	detail := "There is a namespace with this name."
	if row.DeletedAt != nil {
		detail = "A namespace with this name was deleted. The name is free again when the runs of its jobs are gone."
	}
	return &jobs.Conflict{Code: Exists, Detail: detail}
}

// Get returns a namespace, or access.ErrNoNamespace if there is none, or not for the caller.
func (s *Service) Get(ctx context.Context, by access.Caller, name string) (db.Namespace, error) {
	if !by.IsServiceWide && by.Namespace != name {
		return db.Namespace{}, access.ErrNoNamespace
	}
	row, err := s.queries.GetNamespace(ctx, name)
	return found(row, err)
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

// List returns at most so many namespaces by name, those after a name. A caller who is bound to one
// sees no other.
func (s *Service) List(ctx context.Context, by access.Caller, after string, most int32) ([]db.Namespace, error) {
	params := db.ListNamespacesParams{After: after, MaxRows: most}
	if !by.IsServiceWide {
		params.OnlyName = &by.Namespace
	}
	rows, err := s.queries.ListNamespaces(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("list namespaces: %w", err)
	}
	return rows, nil
}

// Update changes a namespace and returns it as it is then. It returns access.ErrNoNamespace, or an
// Invalid.
func (s *Service) Update(ctx context.Context, by access.Caller, name string, change Change) (row db.Namespace, err error) {
	if err := s.check(change); err != nil {
		return db.Namespace{}, err
	}
	var freed []db.FreeHeldRunsRow
	err = s.transact(ctx, by, name, "updateNamespace", change.fields(), func(q *db.Queries) error {
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
		freed, err = freeHeld(ctx, q, row, change.Blackouts.Value)
		return err
	})
	if err != nil {
		return db.Namespace{}, err
	}
	for _, first := range freed {
		s.Announce(first.Queue, first.ReadyAt)
	}
	return row, nil
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
	return s.transact(ctx, by, name, "deleteNamespace", nil, func(q *db.Queries) error {
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
		if _, err := q.RevokeKeysOf(ctx, name); err != nil {
			return fmt.Errorf("revoke the keys of the namespace: %w", err)
		}
		return q.MarkNamespaceDeleted(ctx, name)
	})
}

// transact makes a change of a namespace in a transaction, with what belongs to each: the entry in
// the audit of that namespace, and the announcement to all instances.
func (s *Service) transact(
	ctx context.Context, by access.Caller, name, operation string, fields []string, do func(*db.Queries) error,
) error {
	by.Namespace = name
	return pgx.BeginTxFunc(ctx, s.Pool, database.Locking, func(tx pgx.Tx) error {
		q := db.New(tx)
		if err := do(q); err != nil {
			return err
		}
		entry := audit.Entry{Operation: operation, Type: audit.Namespace, ID: name}
		if fields != nil {
			entry.Result = map[string]any{"fields": fields}
		}
		if err := audit.Record(ctx, q, by, entry); err != nil {
			return err
		}
		return q.NotifyAccess(ctx)
	})
}
