package connections

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/singleflight"

	"punctual/gen/db"
	"punctual/internal/executor"
	"punctual/internal/secrets"
)

const (
	// knownFor is how long a connection is known without being read again. Instances hear of
	// changes at once; this bounds how long one that hears nothing goes by what was.
	knownFor = 5 * time.Second
	// maxKnown bounds the memory of a Cache. When it has so many connections it forgets all of
	// them.
	maxKnown = 10_000
	// readWithin bounds one read. It serves all runs that wait for it, so none of them ends it.
	readWithin = 5 * time.Second
)

// Cache knows connections with their secrets, for those who call them. Make it with NewCache. Safe
// for concurrent use.
type Cache struct {
	queries *db.Queries
	keys    secrets.Keyring
	reads   singleflight.Group
	mu      sync.Mutex
	known   map[place]known
	// forgotten counts the calls of Forget. What was read before one is not kept after it.
	forgotten int
}

var _ executor.Connections = (*Cache)(nil)

type place struct{ namespace, key string }

type known struct {
	connection *executor.Connection
	until      time.Time
}

// NewCache returns a Cache that knows nothing yet.
func NewCache(q *db.Queries, keys secrets.Keyring) *Cache {
	return &Cache{queries: q, keys: keys, known: map[place]known{}}
}

// Connection implements executor.Connections. A connection that has not changed keeps its address.
func (c *Cache) Connection(ctx context.Context, namespace, key string) (*executor.Connection, error) {
	at := place{namespace, key}
	c.mu.Lock()
	entry, forgotten := c.known[at], c.forgotten
	c.mu.Unlock()
	if time.Now().Before(entry.until) {
		return entry.connection, nil
	}
	// A read that began before Forget is not for those who ask after it.
	got, err, _ := c.reads.Do(strconv.Itoa(forgotten)+" "+namespace+"/"+key, func() (any, error) {
		return c.read(context.WithoutCancel(ctx), at, entry.connection, forgotten)
	})
	if err != nil {
		return nil, err
	}
	return got.(*executor.Connection), nil //nolint:forcetypeassert // read returns it
}

// read reads a connection, and keeps it unless something was forgotten meanwhile.
func (c *Cache) read(ctx context.Context, at place, before *executor.Connection, forgotten int) (*executor.Connection, error) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	row, err := c.queries.GetConnection(ctx, db.GetConnectionParams{Namespace: at.namespace, Key: at.key})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, executor.ErrNoConnection
	}
	if err != nil {
		return nil, unreadError{err}
	}
	after := before
	if before == nil || before.ID != row.Connection.ID || !before.UpdatedAt.Equal(row.Connection.UpdatedAt) {
		if after, err = open(c.keys, &row.Connection); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= maxKnown {
		clear(c.known)
	}
	if c.forgotten == forgotten {
		c.known[at] = known{after, time.Now().Add(knownFor)}
	}
	return after, nil
}

// unreadError says for users that a connection could not be read, without what the database has
// said.
type unreadError struct{ cause error }

func (unreadError) Error() string   { return "the database did not answer" }
func (e unreadError) Unwrap() error { return e.cause }

// Forget makes the cache read each connection again: one of them has changed, or it may have.
func (c *Cache) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for at, entry := range c.known {
		c.known[at] = known{connection: entry.connection}
	}
	c.forgotten++
}
