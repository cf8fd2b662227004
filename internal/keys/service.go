package keys

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/audit"
	"punctual/internal/cells"
	"punctual/internal/clock"
)

// ErrNotFound is the error for a key that does not exist for the caller.
var ErrNotFound = errors.New("there is no such key")

// Config is what a Service needs.
type Config struct {
	// Pool leads to the first cell, which has the keys of all namespaces.
	Pool *pgxpool.Pool
	// Cells knows where namespaces are. Default: it is made with Pool.
	Cells *cells.Directory
	// Changed is called after a key was made or revoked. It must not block. Default: only the
	// notification tells of it.
	Changed func()
}

// Service makes, shows and revokes keys. Make it with New. Safe for concurrent use.
//
// A caller sees the keys of its namespace. One who is not bound to a namespace also sees the keys
// for all namespaces, which are called service-wide.
type Service struct {
	Config
	queries *db.Queries
}

// New returns a Service.
func New(c Config) *Service {
	if c.Changed == nil {
		c.Changed = func() {}
	}
	if c.Cells == nil {
		c.Cells = cells.New(c.Pool)
	}
	return &Service{Config: c, queries: db.New(c.Pool)}
}

// Status is what a key is good for.
type Status string

// What a key is good for: a key that is not active is refused.
const (
	Active  Status = "ACTIVE"
	Expired Status = "EXPIRED"
	Revoked Status = "REVOKED"
)

// View is a key without its secret.
type View struct {
	db.Key
	Status Status
}

func newView(key db.Key, now time.Time) View { return View{Key: key, Status: statusOf(&key, now)} }

func statusOf(key *db.Key, now time.Time) Status {
	switch {
	case key.RevokedAt != nil:
		return Revoked
	case key.ExpiresAt != nil && !now.Before(*key.ExpiresAt):
		return Expired
	default:
		return Active
	}
}

// Create makes a key in the caller's namespace, or a service-wide one, and returns it in the clear
// as well: it cannot be shown again. It returns a jobs.Invalid if the key cannot be, and
// access.ErrNoNamespace if there is no such namespace.
func (s *Service) Create(ctx context.Context, by access.Caller, given Request) (view View, plain Plain, err error) {
	plain = generate()
	err = s.transact(ctx, by, "createKey", plain.ID(), given.result(), func(of, first inCell) error {
		tx, err := of()
		if err != nil {
			return err
		}
		now, err := tx.DatabaseTime(ctx)
		if err != nil {
			return fmt.Errorf("read the database's time: %w", err)
		}
		if err := given.check(by, now); err != nil {
			return err
		}
		if err := lockNamespace(ctx, tx, by, given); err != nil {
			return err
		}
		if tx, err = first(); err != nil {
			return err
		}
		key, err := tx.CreateKey(ctx, given.params(by, plain, now))
		if err != nil {
			return fmt.Errorf("store the key: %w", err)
		}
		view = newView(key, now)
		return nil
	})
	if err != nil {
		return View{}, Plain{}, err
	}
	s.Changed()
	return view, plain, nil
}

// lockNamespace keeps the namespace of a new key from being deleted meanwhile.
func lockNamespace(ctx context.Context, q *db.Queries, by access.Caller, given Request) error {
	if given.IsServiceWide {
		return nil
	}
	_, err := q.LockNamespaceToUse(ctx, by.Namespace)
	if errors.Is(err, pgx.ErrNoRows) {
		return access.ErrNoNamespace
	}
	if err != nil {
		return fmt.Errorf("lock the namespace: %w", err)
	}
	return nil
}

// inCell returns the queries of a cell in a transaction, for use until those of another are asked
// for.
type inCell func() (*db.Queries, error)

// transact makes a change of a key in a transaction, and writes it to the audit of the caller's
// namespace. do gets the cell of the namespace, and the first one, which has the keys.
func (s *Service) transact(ctx context.Context, by access.Caller, operation, id string, result any, do func(of, first inCell) error) error {
	cell, err := s.Cells.Of(ctx, by.Namespace)
	if err != nil {
		return err
	}
	return cells.Transact(ctx, s.Pool, func(tx *cells.Transaction) error {
		of := func() (*db.Queries, error) { return tx.In(ctx, cell) }
		first := func() (*db.Queries, error) { return tx.In(ctx, cells.First) }
		if err := do(of, first); err != nil {
			return err
		}
		q, err := of()
		if err != nil {
			return err
		}
		if err := audit.Record(ctx, q, by, audit.Entry{Operation: operation, Type: audit.Key, ID: id, Result: result}); err != nil {
			return err
		}
		if q, err = first(); err != nil {
			return err
		}
		if err := q.NotifyAccess(ctx); err != nil {
			return fmt.Errorf("notify the instances: %w", err)
		}
		return nil
	})
}

// Get returns a key, or ErrNotFound.
func (s *Service) Get(ctx context.Context, by access.Caller, id string) (View, error) {
	row, err := s.queries.GetKey(ctx, db.GetKeyParams{ID: id, Namespace: by.Namespace, WithServiceWide: by.IsServiceWide})
	if errors.Is(err, pgx.ErrNoRows) {
		return View{}, ErrNotFound
	}
	if err != nil {
		return View{}, fmt.Errorf("read the key: %w", err)
	}
	return newView(row.Key, row.ReadAt), nil
}

// Place is where in a list a key stands.
type Place struct {
	CreatedAt time.Time
	ID        string
}

// firstPlace is before the newest key.
var firstPlace = Place{CreatedAt: clock.EndOfTime}

// Place returns where in a list the key stands.
func (v View) Place() Place { return Place{CreatedAt: v.CreatedAt, ID: v.ID} }

// List returns at most so many keys, newest first: those after a place, or the newest ones.
func (s *Service) List(ctx context.Context, by access.Caller, after *Place, most int32) ([]View, error) {
	from := cmp.Or(after, &firstPlace)
	rows, err := s.queries.ListKeys(ctx, db.ListKeysParams{
		Namespace: by.Namespace, WithServiceWide: by.IsServiceWide, AfterCreatedAt: from.CreatedAt, AfterID: from.ID, MaxRows: most,
	})
	if err != nil {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	views := make([]View, len(rows))
	for i := range rows {
		views[i] = newView(rows[i].Key, rows[i].ReadAt)
	}
	return views, nil
}

// Revoke makes a key invalid for good, at all instances. It changes nothing if the key is revoked
// already. It returns ErrNotFound if there is no such key.
func (s *Service) Revoke(ctx context.Context, by access.Caller, id string) error {
	err := s.transact(ctx, by, "revokeKey", id, nil, func(_, first inCell) error {
		q, err := first()
		if err != nil {
			return err
		}
		n, err := q.RevokeKey(ctx, db.RevokeKeyParams{ID: id, Namespace: by.Namespace, WithServiceWide: by.IsServiceWide})
		if err != nil {
			return fmt.Errorf("revoke the key: %w", err)
		}
		if n == 0 {
			return errUnchanged
		}
		return nil
	})
	if errors.Is(err, errUnchanged) {
		_, err = s.Get(ctx, by, id)
		return err
	}
	if err == nil {
		s.Changed()
	}
	return err
}

// errUnchanged ends a transaction that has nothing to change.
var errUnchanged = errors.New("the key is revoked already, or there is none")
