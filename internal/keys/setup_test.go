package keys

import (
	"cmp"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/database"
	"punctual/internal/testdb"
)

// me is who makes the keys of these tests.
var me = access.Command(access.DefaultNamespace)

// fixture is a Verifier on a database of its own, and the statements that it sends.
type fixture struct {
	*Verifier
	t       *testing.T
	pool    *pgxpool.Pool // sends nothing to sent
	service *Service
	sent    *statements
}

func setup(t *testing.T) fixture {
	t.Helper()
	pool, err := database.Open(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	f := fixture{t: t, pool: pool, service: New(Config{Pool: pool}), sent: &statements{}}
	config := pool.Config()
	config.ConnConfig.Tracer = f.sent
	traced, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(traced.Close)
	f.Verifier, err = NewVerifier(db.New(traced))
	require.NoError(t, err)
	return f
}

// create makes a key, with all scopes unless some are given.
func (f fixture) create(given Request) (View, Plain) {
	f.t.Helper()
	given.Description = cmp.Or(given.Description, "of a test")
	if given.Scopes == nil {
		given.Scopes = access.Scopes
	}
	view, plain, err := f.service.Create(f.t.Context(), me, given)
	require.NoError(f.t, err)
	return view, plain
}

// verify returns what a request with the key is told.
func (f fixture) verify(plain Plain) error {
	_, err := f.Verify(f.t.Context(), plain.Reveal())
	return err
}

// readAgo changes the time when the database was asked about an id, as if a test had waited.
func (f fixture) readAgo(id string, ago time.Duration) {
	f.t.Helper()
	e, ok := f.known.Peek(id)
	if !ok {
		e, ok = f.unknown.Peek(id)
	}
	require.True(f.t, ok, "the id is remembered")
	later := time.Now().Add(-ago).Sub(e.askedAt)
	e.askedAt, e.readAt = e.askedAt.Add(later), e.readAt.Add(later)
}

// lastUsedAt returns what is stored of the last use of a key.
func (f fixture) lastUsedAt(id string) *time.Time {
	f.t.Helper()
	view, err := f.service.Get(f.t.Context(), me, id)
	require.NoError(f.t, err)
	return view.LastUsedAt
}

// statements is a tracer that notes the names of the statements that are sent.
type statements struct {
	mu    sync.Mutex
	names []string
	// answered is called when a statement has got its answer, before anybody sees it.
	answered func()
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names = append(s.names, strings.Fields(strings.TrimPrefix(data.SQL, "-- name: "))[0])
	return ctx
}

func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {
	s.mu.Lock()
	answered := s.answered
	s.answered = nil
	s.mu.Unlock()
	if answered != nil {
		answered()
	}
}

// holdAnswer keeps the next answer back until release is called. The channel is closed when the
// database has answered.
func (s *statements) holdAnswer(t *testing.T) (hasAnswered <-chan struct{}, release func()) {
	t.Helper()
	answered, released := make(chan struct{}), make(chan struct{})
	release = sync.OnceFunc(func() { close(released) })
	t.Cleanup(release)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answered = func() {
		close(answered)
		<-released
	}
	return answered, release
}

// take returns the names of the statements that were sent, and forgets them.
func (s *statements) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := s.names
	s.names = nil
	return names
}
