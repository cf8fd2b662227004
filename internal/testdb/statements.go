package testdb

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/internal/database"
)

// Statements notes the names of the statements that are sent, as in sql/queries, and others as they
// begin.
type Statements struct {
	mu    sync.Mutex
	names []string
	// Before is called before a statement is sent, with its name.
	Before func(name string)
}

var (
	_ pgx.QueryTracer = (*Statements)(nil)
	_ pgx.BatchTracer = (*Statements)(nil)
)

// Traced returns a pool on a new database, and a note of the statements that are sent there.
func Traced(tb testing.TB) (*pgxpool.Pool, *Statements) {
	tb.Helper()
	like, err := database.Open(tb.Context(), New(tb))
	if err != nil {
		tb.Fatal(err)
	}
	like.Close() // it has not connected, and only provides the settings
	sent := &Statements{Before: func(string) {}}
	config := like.Config()
	config.ConnConfig.Tracer = sent
	pool, err := pgxpool.NewWithConfig(tb.Context(), config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(pool.Close)
	return pool, sent
}

// TraceQueryStart notes a statement.
func (s *Statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.note(data.SQL)
	return ctx
}

// TraceBatchStart notes statements that are sent together.
func (s *Statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, query := range data.Batch.QueuedQueries {
		s.note(query.SQL)
	}
	return ctx
}

// TraceBatchQuery does nothing.
func (*Statements) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd does nothing.
func (*Statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

func (s *Statements) note(sql string) {
	name, found := strings.CutPrefix(sql, "-- name: ")
	if !found {
		name = sql
	}
	name, _, _ = strings.Cut(name, " ")
	s.Before(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names = append(s.names, name)
}

// TraceQueryEnd does nothing.
func (*Statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// Take returns the names that were noted since the last call.
func (s *Statements) Take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := s.names
	s.names = nil
	return names
}
