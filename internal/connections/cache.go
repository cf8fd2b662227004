package connections

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"punctual/gen/db"
	"punctual/internal/executor"
	"punctual/internal/recent"
	"punctual/internal/secrets"
)

// knownFor is how long a connection is known without being read again.
const knownFor = 5 * time.Second

// Cache knows connections with their secrets, for those who call them. Make it with NewCache. Safe
// for concurrent use.
type Cache struct {
	*recent.Values[place, *executor.Connection]
}

var _ executor.Connections = (*Cache)(nil)

type place struct{ namespace, key string }

// NewCache returns a Cache that knows nothing yet.
func NewCache(q *db.Queries, keys secrets.Keyring) *Cache {
	return &Cache{recent.New(knownFor, func(ctx context.Context, at place, before *executor.Connection) (*executor.Connection, error) {
		row, err := q.GetConnection(ctx, db.GetConnectionParams{Namespace: at.namespace, Key: at.key})
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return nil, executor.ErrNoConnection
		case err != nil:
			return nil, unreadError{err}
		case before != nil && before.ID == row.Connection.ID && before.UpdatedAt.Equal(row.Connection.UpdatedAt):
			return before, nil
		}
		return open(keys, &row.Connection)
	})}
}

// Connection implements executor.Connections. A connection that has not changed keeps its address.
func (c *Cache) Connection(ctx context.Context, namespace, key string) (*executor.Connection, error) {
	return c.Get(ctx, place{namespace, key})
}

// unreadError says for users that a connection could not be read, without what the database has
// said.
type unreadError struct{ cause error }

func (unreadError) Error() string   { return "the database did not answer" }
func (e unreadError) Unwrap() error { return e.cause }
