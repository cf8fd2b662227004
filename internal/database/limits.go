package database

import (
	"context"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
)

// cancelWithin is how long the server may take to confirm that it canceled a statement. After that
// its connection is given up.
const cancelWithin = 2 * time.Second

// limitTime applies the limits in time of a pool. They are deadlines on this side, because a pooler
// in transaction mode takes no statement_timeout from its clients. A deadline cancels the statement
// in the server and keeps the connection: otherwise a statement that waits for a lock would stay in
// the server, and each client that gives up would cost a new connection.
func limitTime(config *pgx.ConnConfig, l Limits) {
	config.Tracer = deadlines{l}
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: cancelWithin}
	}
}

// deadlines gives each wait for a connection and each statement a context with a deadline. It is a
// tracer because tracers see every statement, also those within transactions.
type deadlines struct{ Limits }

var (
	_ pgx.QueryTracer       = deadlines{}
	_ pgx.BatchTracer       = deadlines{}
	_ pgxpool.AcquireTracer = deadlines{}
)

type cancelKey struct{}

func within(ctx context.Context, d time.Duration) context.Context {
	if d <= 0 {
		return context.WithValue(ctx, cancelKey{}, context.CancelFunc(func() {}))
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	return context.WithValue(ctx, cancelKey{}, cancel)
}

func end(ctx context.Context) { ctx.Value(cancelKey{}).(context.CancelFunc)() }

// TraceQueryStart begins the time of a statement.
func (d deadlines) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return within(ctx, d.Statement)
}

// TraceQueryEnd ends it.
func (deadlines) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryEndData) { end(ctx) }

// TraceBatchStart begins the time of statements that are sent together.
func (d deadlines) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return within(ctx, d.Statement)
}

// TraceBatchQuery does nothing: the time is that of all of them.
func (deadlines) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd ends it.
func (deadlines) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchEndData) { end(ctx) }

// TraceAcquireStart begins the time of a wait for a connection.
func (d deadlines) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	return within(ctx, d.Acquire)
}

// TraceAcquireEnd ends it.
func (deadlines) TraceAcquireEnd(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireEndData) {
	end(ctx)
}

// leaveReadOnly closes a connection on which the server refused a change because it is read-only.
// The next connection may find another server, or a setting that has changed: a session keeps the
// default_transaction_read_only with which it began.
func leaveReadOnly(config *pgx.ConnConfig) {
	next := config.OnPgError
	config.OnPgError = func(conn *pgconn.PgConn, err *pgconn.PgError) bool {
		return err.Code != pgerrcode.ReadOnlySQLTransaction && next(conn, err)
	}
}
