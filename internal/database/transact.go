package database

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/gen/db"
)

// Transact calls do in a transaction that locks rows of others (Locking), and commits it, unless do
// fails. "begin" is sent with the first statement.
func Transact(ctx context.Context, pool *pgxpool.Pool, do func(tx *Tx) error) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release() // which closes the connection if it is still in the transaction
	return TransactOn(ctx, conn, do)
}

// TransactOn is Transact on a connection.
func TransactOn(ctx context.Context, conn *pgxpool.Conn, do func(tx *Tx) error) (err error) {
	tx := &Tx{conn: conn.Conn()}
	for _, statement := range beginLocking {
		tx.waiting.Queue(statement)
	}
	if err = do(tx); err == nil {
		tx.waiting.Queue("commit").Exec(func(tag pgconn.CommandTag) error {
			if tag.String() == "ROLLBACK" { // a statement has failed, and do has ignored that
				return pgx.ErrTxCommitRollback
			}
			return nil
		})
		err = tx.flush(ctx)
	}
	if err == nil {
		return nil
	}
	if pg := conn.Conn().PgConn(); !pg.IsClosed() && pg.TxStatus() != 'I' {
		_, rollbackErr := conn.Exec(context.WithoutCancel(ctx), "rollback")
		err = errors.Join(err, rollbackErr)
	}
	return err
}

// Together returns what sends statements that wait, as Later says, with the next one, as one
// transaction. Others are on their own, and so is one that is planned for each execution
// (PlanEach).
func Together(conn *pgxpool.Conn) *Tx { return &Tx{conn: conn.Conn()} }

// Tx is a transaction. It sends what waits, as Later says, with the next statement, in one round
// trip. It is for one goroutine.
type Tx struct {
	conn interface {
		db.DBTX
		SendBatch(ctx context.Context, batch *pgx.Batch) pgx.BatchResults
	}
	waiting pgx.Batch
}

var _ db.DBTX = (*Tx)(nil)

// Later is for statements whose answer nobody needs: they wait until the next statement, or the
// commit, is sent, which returns their errors. They say that they change no rows.
func (tx *Tx) Later() db.DBTX { return later{tx} }

type later struct{ *Tx }

// Exec lets a statement wait.
func (l later) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	l.waiting.Queue(sql, args...)
	return pgconn.CommandTag{}, nil
}

// Exec executes a statement.
func (tx *Tx) Exec(ctx context.Context, sql string, args ...any) (tag pgconn.CommandTag, err error) {
	if isAlone, err := tx.isAlone(ctx, args); isAlone || err != nil {
		if err == nil {
			tag, err = tx.conn.Exec(ctx, sql, args...)
		}
		return tag, err
	}
	results, err := tx.send(ctx, sql, args)
	if err != nil {
		return tag, err
	}
	tag, err = results.Exec()
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	return tag, err
}

// Query executes a statement that returns rows.
func (tx *Tx) Query(ctx context.Context, sql string, args ...any) (rows pgx.Rows, err error) {
	if isAlone, err := tx.isAlone(ctx, args); isAlone || err != nil {
		if err == nil {
			rows, err = tx.conn.Query(ctx, sql, args...)
		}
		return rows, err
	}
	results, err := tx.send(ctx, sql, args)
	if err != nil {
		return nil, err
	}
	if rows, err = results.Query(); err != nil {
		_ = results.Close() // it returns the same error
		return nil, err
	}
	return &lastRows{Rows: rows, results: results}, nil
}

// QueryRow executes a statement that returns a row.
func (tx *Tx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	rows, err := tx.Query(ctx, sql, args...)
	return &firstRow{rows, err}
}

// CopyFrom copies rows into a table.
func (tx *Tx) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	if err := tx.flush(ctx); err != nil {
		return 0, err
	}
	return tx.conn.CopyFrom(ctx, table, columns, rows)
}

// isAlone reports whether a statement is sent alone: nothing waits, or its arguments begin with how
// it is to be executed (PlanEach), which a batch does not know. Then it sends what waits.
func (tx *Tx) isAlone(ctx context.Context, args []any) (bool, error) {
	if len(args) > 0 {
		if _, hasMode := args[0].(pgx.QueryExecMode); hasMode {
			return true, tx.flush(ctx)
		}
	}
	return tx.waiting.Len() == 0, nil
}

// flush sends what waits.
func (tx *Tx) flush(ctx context.Context) error {
	if tx.waiting.Len() == 0 {
		return nil
	}
	batch := tx.waiting
	tx.waiting = pgx.Batch{}
	return tx.conn.SendBatch(ctx, &batch).Close()
}

// send sends what waits, and a statement, whose answer is the next of the results.
func (tx *Tx) send(ctx context.Context, sql string, args []any) (pgx.BatchResults, error) {
	batch := tx.waiting
	tx.waiting = pgx.Batch{}
	first := batch.Len()
	batch.Queue(sql, args...)
	results := tx.conn.SendBatch(ctx, &batch)
	for range first {
		if _, err := results.Exec(); err != nil {
			_ = results.Close() // it returns the same error
			return nil, err
		}
	}
	return results, nil
}

// lastRows are the rows of the last statement of a batch. They end the batch.
type lastRows struct {
	pgx.Rows
	results pgx.BatchResults
	err     error
}

// Next ends the batch after the last row.
func (r *lastRows) Next() bool {
	if r.Rows.Next() {
		return true
	}
	r.Close()
	return false
}

// Err returns the error of the statement, or of the batch.
func (r *lastRows) Err() error {
	if err := r.Rows.Err(); err != nil {
		return err
	}
	return r.err
}

// Close ends the batch.
func (r *lastRows) Close() {
	r.Rows.Close()
	if r.results != nil {
		r.err, r.results = r.results.Close(), nil
	}
}

// firstRow is the first of some rows.
type firstRow struct {
	rows pgx.Rows
	err  error
}

// Scan reads the row. It returns pgx.ErrNoRows if there is none.
func (r *firstRow) Scan(into ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return pgx.ErrNoRows
	}
	if err := r.rows.Scan(into...); err != nil {
		return err
	}
	r.rows.Close()
	return r.rows.Err()
}
