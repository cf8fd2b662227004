// Package connections creates, changes and deletes the services that http targets call, and knows
// them, with their secrets, without asking the database for each run.
package connections

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/audit"
	"punctual/internal/database"
	"punctual/internal/executor"
	"punctual/internal/jobs"
	"punctual/internal/secrets"
)

// What the state of a connection does not allow.
const (
	Exists jobs.Code = "connection-exists"
	InUse  jobs.Code = "connection-in-use"
)

// ErrNotFound is the error for a connection that does not exist for the caller.
var ErrNotFound = errors.New("there is no such connection")

// errMove is what is wrong with another host while the secrets of jobs would go there with it.
var errMove = jobs.Field{
	Name: "baseUrl", Code: jobs.Conflicting,
	Detail: "must keep its scheme, host and port while jobs of the connection have secrets of their own, which would go to another host",
}

// Checker checks what only those who call connections know: URLs, headers, signing secrets.
type Checker interface {
	// CheckConnection returns the faults of a connection, by the fields of the contract.
	CheckConnection(*executor.Connection) []executor.Fault
}

// Config is what a Service needs.
type Config struct {
	Pool    *pgxpool.Pool
	Secrets secrets.Keyring
	Checker Checker
	// Changed is called after a connection was changed. It must not block. Default: only the
	// notification tells of it.
	Changed func()
}

// Service changes connections. Make it with New. Safe for concurrent use.
type Service struct {
	Config
	queries *db.Queries
}

// New returns a Service.
func New(c Config) *Service {
	if c.Changed == nil {
		c.Changed = func() {}
	}
	return &Service{c, db.New(c.Pool)}
}

// View is a connection without its secrets, and its state.
type View struct {
	db.Connection
	// Definition is the rest of what a request has said, without secrets.
	Definition executor.Connection
	// DownSince is since when it is down, and Reason why. Nil: it is not.
	DownSince *time.Time
	Reason    *string
	// WaitsUntil is until when no call is made. Nil: nothing waits.
	WaitsUntil *time.Time
}

func newView(row db.GetConnectionRow) (View, error) {
	v := View{Connection: row.Connection, DownSince: row.DownSince, Reason: row.Reason}
	if row.WaitsUntil != nil && row.WaitsUntil.After(row.ReadAt) {
		v.WaitsUntil = row.WaitsUntil
	}
	if err := json.Unmarshal(row.Connection.Definition, &v.Definition); err != nil {
		return View{}, fmt.Errorf("decode the connection %s: %w", row.Connection.Key, err)
	}
	return v, nil
}

// Create stores a connection. It returns a Conflict if there is one with this key, or an Invalid.
func (s *Service) Create(ctx context.Context, by access.Caller, given Change) (View, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return View{}, fmt.Errorf("make the id of a connection: %w", err)
	}
	after := given.applyTo(newConnection())
	if err := jobs.InvalidIfAny(s.check(&after)); err != nil {
		return View{}, err
	}
	stored, err := s.store(id, &after)
	if err != nil {
		return View{}, err
	}
	var row db.Connection
	err = s.transact(ctx, by, given.Key, "createConnection", given.fields(), func(q *db.Queries) (err error) {
		row, err = q.CreateConnection(ctx, db.CreateConnectionParams{
			ID: id, Namespace: by.Namespace, Key: given.Key, BaseUrl: after.BaseURL, Definition: stored.definition,
			SealedSecrets: stored.sealed, SecretsKeyID: stored.keyID, SecretNames: stored.names,
			MaxConcurrency: after.MaxConcurrency, MaxPerSecond: after.MaxPerSecond, IsAdaptive: after.IsAdaptive, UpdatedBy: by.Actor,
		})
		if database.IsUniqueViolation(err) {
			return &jobs.Conflict{Code: Exists, Detail: "There is a connection with this key."}
		}
		if err != nil {
			return err
		}
		return q.CreateConnectionState(ctx, id)
	})
	if err != nil {
		return View{}, err
	}
	return newView(db.GetConnectionRow{Connection: row})
}

// Get returns a connection, or ErrNotFound.
func (s *Service) Get(ctx context.Context, by access.Caller, key string) (View, error) {
	row, err := s.queries.GetConnection(ctx, db.GetConnectionParams{Namespace: by.Namespace, Key: key})
	if errors.Is(err, pgx.ErrNoRows) {
		return View{}, ErrNotFound
	}
	if err != nil {
		return View{}, fmt.Errorf("read the connection: %w", err)
	}
	return newView(row)
}

// List returns at most so many connections, by key: those after a key.
func (s *Service) List(ctx context.Context, by access.Caller, after string, most int32) ([]View, error) {
	rows, err := s.queries.ListConnections(ctx, db.ListConnectionsParams{Namespace: by.Namespace, After: after, MaxRows: most})
	if err != nil {
		return nil, fmt.Errorf("list connections: %w", err)
	}
	views := make([]View, len(rows))
	for i := range rows {
		if views[i], err = newView(db.GetConnectionRow(rows[i])); err != nil {
			return nil, err
		}
	}
	return views, nil
}

// Update changes a connection and returns it as it is then. It returns ErrNotFound, an Invalid, or
// a Conflict if secrets that the change leaves out cannot be opened.
func (s *Service) Update(ctx context.Context, by access.Caller, key string, change Change) (View, error) {
	err := s.transact(ctx, by, key, "updateConnection", change.fields(), func(q *db.Queries) error {
		row, err := lock(ctx, q, by, key)
		if err != nil {
			return err
		}
		opened, err := open(s.Secrets, &row)
		if err != nil {
			return err
		}
		before := connection{*opened, Limits{row.MaxConcurrency, row.MaxPerSecond}}
		after := change.applyTo(before)
		wrong := append(change.checkKept(&before, &after), s.check(&after)...)
		if isMoved(&before, &after) {
			used := db.IsConnectionUsedParams{Namespace: by.Namespace, Key: key, WithSecrets: true}
			isUsed, err := q.IsConnectionUsed(ctx, used)
			if err != nil {
				return fmt.Errorf("look for jobs with secrets: %w", err)
			}
			if isUsed {
				wrong = append(wrong, errMove)
			}
		}
		if err := jobs.InvalidIfAny(wrong); err != nil {
			return err
		}
		stored, err := s.store(row.ID, &after)
		if err != nil {
			return err
		}
		return q.UpdateConnection(ctx, db.UpdateConnectionParams{
			ID: row.ID, Namespace: by.Namespace, BaseUrl: after.BaseURL, Definition: stored.definition,
			SealedSecrets: stored.sealed, SecretsKeyID: stored.keyID, SecretNames: stored.names,
			MaxConcurrency: after.MaxConcurrency, MaxPerSecond: after.MaxPerSecond, IsAdaptive: after.IsAdaptive, UpdatedBy: by.Actor,
		})
	})
	if err != nil {
		return View{}, err
	}
	return s.Get(ctx, by, key)
}

// Delete deletes a connection. It returns ErrNotFound, or a Conflict if jobs use it.
func (s *Service) Delete(ctx context.Context, by access.Caller, key string) error {
	return s.transact(ctx, by, key, "deleteConnection", nil, func(q *db.Queries) error {
		row, err := lock(ctx, q, by, key)
		if err != nil {
			return err
		}
		isUsed, err := q.IsConnectionUsed(ctx, db.IsConnectionUsedParams{Namespace: by.Namespace, Key: key})
		if err != nil {
			return fmt.Errorf("look for jobs of the connection: %w", err)
		}
		if isUsed {
			return &jobs.Conflict{Code: InUse, Detail: "Jobs use the connection. Change or delete them first."}
		}
		return q.DeleteConnection(ctx, db.DeleteConnectionParams{ID: row.ID, Namespace: by.Namespace})
	})
}

func lock(ctx context.Context, q *db.Queries, by access.Caller, key string) (db.Connection, error) {
	row, err := q.LockConnection(ctx, db.LockConnectionParams{Namespace: by.Namespace, Key: key})
	if errors.Is(err, pgx.ErrNoRows) {
		return row, ErrNotFound
	}
	if err != nil {
		return row, fmt.Errorf("lock the connection: %w", err)
	}
	return row, nil
}

// transact makes a change of a connection in a transaction, with what belongs to each: the entry in
// the audit, and the announcement to all instances.
func (s *Service) transact(
	ctx context.Context, by access.Caller, key, operation string, fields []string, do func(*db.Queries) error,
) error {
	err := pgx.BeginTxFunc(ctx, s.Pool, database.Locking, func(tx pgx.Tx) error {
		q := db.New(tx)
		if err := do(q); err != nil {
			return err
		}
		entry := audit.Entry{Operation: operation, Type: audit.Connection, ID: key}
		if fields != nil {
			entry.Result = map[string]any{"fields": fields}
		}
		if err := audit.Record(ctx, q, by, entry); err != nil {
			return err
		}
		return q.NotifyAccess(ctx)
	})
	if err == nil {
		s.Changed()
	}
	return err
}
