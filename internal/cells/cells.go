// Package cells knows in which cell each namespace is, adds cells, and moves namespaces from one to
// another.
//
// A cell is a schema of the database that has all tables, for the rows of some namespaces. The
// statements are the same in all cells: the search path of a session, or of a transaction, says
// which one they mean. The first cell is the one to which the URL of the database leads. It also
// has what belongs to the service as a whole: which cells there are, the keys and the sessions.
package cells

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/internal/database"
	"punctual/internal/recent"
)

// First stands for the first cell, whatever its schema is called.
const First = ""

// ErrUnknown is the error for a cell that there is not.
var ErrUnknown = errors.New("there is no such cell")

// knownFor is how long it is known in which cell a namespace is without being read again.
const knownFor = 3 * time.Second

// Pool is a pool of connections that leads to the first cell.
type Pool interface {
	db.DBTX
	BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error)
}

// Directory knows which cells there are, and in which of them each namespace is. Make it with New.
// Safe for concurrent use.
type Directory struct {
	pool    Pool
	queries *db.Queries
	others  *recent.Values[struct{}, []string]
	placed  *recent.Values[string, string]
	first   *recent.Values[struct{}, string]
}

// New returns a Directory that knows nothing yet.
func New(pool Pool) *Directory {
	q := db.New(pool)
	return &Directory{
		pool: pool, queries: q,
		others: recent.New(knownFor, func(ctx context.Context, _ struct{}, _ []string) ([]string, error) {
			return q.ListCells(ctx)
		}),
		placed: recent.New(knownFor, func(ctx context.Context, namespace, _ string) (string, error) {
			cell, err := q.FindPlacement(ctx, namespace)
			if errors.Is(err, pgx.ErrNoRows) {
				return First, nil
			}
			return cell, err
		}),
		first: recent.New(time.Hour, func(ctx context.Context, _ struct{}, _ string) (string, error) { return q.CurrentCell(ctx) }),
	}
}

// Forget makes everything be read again before it is used: something has changed, or it may have.
func (d *Directory) Forget() {
	d.others.Forget()
	d.placed.Forget()
}

// Others returns the cells besides the first one, by name.
func (d *Directory) Others(ctx context.Context) ([]string, error) {
	names, err := d.others.Get(ctx, struct{}{})
	if err != nil {
		return nil, fmt.Errorf("list the cells: %w", err)
	}
	return names, nil
}

// All returns all cells, First before the others.
func (d *Directory) All(ctx context.Context) ([]string, error) {
	others, err := d.Others(ctx)
	return slices.Concat([]string{First}, others), err
}

// Of returns the cell of a namespace, whether there is such a namespace or not. As long as there
// are no other cells, it asks for no namespace.
func (d *Directory) Of(ctx context.Context, namespace string) (string, error) {
	others, err := d.Others(ctx)
	if err != nil || len(others) == 0 {
		return First, err
	}
	cell, err := d.placed.Get(ctx, namespace)
	if err != nil {
		return First, fmt.Errorf("find the cell of a namespace: %w", err)
	}
	return cell, nil
}

// Name returns the name of the schema of a cell.
func (d *Directory) Name(ctx context.Context, cell string) (string, error) {
	if cell != First {
		return cell, nil
	}
	name, err := d.first.Get(ctx, struct{}{})
	if err != nil {
		return "", fmt.Errorf("read the name of the first cell: %w", err)
	}
	return name, nil
}

// ByName returns the cell that has a name, or ErrUnknown. It asks the database: somebody may have
// added the cell at this moment.
func (d *Directory) ByName(ctx context.Context, name string) (string, error) {
	first, err := d.Name(ctx, First)
	if err != nil {
		return "", err
	}
	if name == first {
		return First, nil
	}
	others, err := d.queries.ListCells(ctx)
	if err != nil {
		return "", fmt.Errorf("list the cells: %w", err)
	}
	if !slices.Contains(others, name) {
		return "", fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	return name, nil
}

// Load is what a cell has.
type Load struct {
	Cell, Name string
	// Jobs is how many jobs it has, as PostgreSQL estimates it, and Namespaces how many namespaces
	// were placed there. Of the first cell, those do not count that nobody placed.
	Jobs, Namespaces int64
}

// Loads returns what each cell has, the first one before the others.
func (d *Directory) Loads(ctx context.Context) ([]Load, error) {
	all, err := d.All(ctx)
	if err != nil {
		return nil, err
	}
	loads := make([]Load, len(all))
	names := make([]string, len(all))
	for i, cell := range all {
		if names[i], err = d.Name(ctx, cell); err != nil {
			return nil, err
		}
		loads[i] = Load{Cell: cell, Name: names[i]}
	}
	rows, err := d.queries.MeasureCells(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("measure the cells: %w", err)
	}
	for _, row := range rows {
		at := slices.Index(names, row.Cell)
		loads[at].Jobs, loads[at].Namespaces = row.Jobs, row.Placements
	}
	return loads, nil
}

// LeastLoaded returns the cell for a new namespace: that with the fewest jobs, and of those with as
// many jobs, that with the fewest namespaces.
func (d *Directory) LeastLoaded(ctx context.Context) (string, error) {
	others, err := d.Others(ctx)
	if err != nil || len(others) == 0 {
		return First, err
	}
	loads, err := d.Loads(ctx)
	if err != nil {
		return First, err
	}
	least := slices.MinFunc(loads, func(a, b Load) int {
		return cmp.Or(cmp.Compare(a.Jobs, b.Jobs), cmp.Compare(a.Namespaces, b.Namespaces))
	})
	return least.Cell, nil
}

// Read calls do with queries of a cell, for reading.
func (d *Directory) Read(ctx context.Context, cell string, do func(*db.Queries) error) error {
	if cell == First {
		return do(d.queries)
	}
	return Transact(ctx, d.pool, func(tx *Transaction) error {
		q, err := tx.In(ctx, cell)
		if err != nil {
			return err
		}
		return do(q)
	})
}

// Transaction is one that changes rows of several cells: all of them, or none. Its statements mean
// one cell at a time.
type Transaction struct {
	queries *db.Queries
	current string
	first   string
}

// Transact calls do in a transaction that locks rows, and commits it unless do returns an error. At
// the beginning, statements mean the first cell.
func Transact(ctx context.Context, pool Pool, do func(*Transaction) error) error {
	return pgx.BeginTxFunc(ctx, pool, database.Locking, func(tx pgx.Tx) error {
		return do(&Transaction{queries: db.New(tx), current: First})
	})
}

// In makes statements mean a cell, until the next call, and returns them.
func (t *Transaction) In(ctx context.Context, cell string) (*db.Queries, error) {
	if cell == t.current {
		return t.queries, nil
	}
	if t.first == "" {
		var err error
		if t.first, err = t.queries.CurrentCell(ctx); err != nil {
			return nil, fmt.Errorf("read the name of the first cell: %w", err)
		}
	}
	if err := t.queries.UseCell(ctx, cmp.Or(cell, t.first)); err != nil {
		return nil, fmt.Errorf("use the cell %q: %w", cell, err)
	}
	t.current = cell
	return t.queries, nil
}
