package cells

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/audit"
	"punctual/internal/clock"
)

// lookEach is how often is looked whether others have ended.
const lookEach = 100 * time.Millisecond

// lockWithin bounds the wait for those who change the jobs and runs of a namespace, in
// milliseconds: others wait meanwhile.
const lockWithin = "5000"

var (
	// ErrMoving is the error for a namespace that somebody else is moving.
	ErrMoving = errors.New("somebody else is moving the namespace")
	// ErrBusy is the error for a namespace whose runs do not end in time.
	ErrBusy = errors.New("requests or runs of the namespace have not ended in time, so it goes on where it was")
	// ErrThere is the error for a namespace that is in the cell already.
	ErrThere = errors.New("the namespace is in this cell already")
)

// Mover moves namespaces from one cell to another.
type Mover struct {
	// Conn is a session that is used for nothing else, without a pooler in between.
	Conn *pgx.Conn
	// Within is how long requests and runs may take to end that have begun.
	Within time.Duration
	Free   Free
}

// Move moves a namespace to a cell, and returns how many jobs it has.
//
// First it makes nothing be changed by requests, and no run start. Then it waits for requests and
// runs that have begun. At last, one transaction moves all rows, and says that the namespace is in
// the other cell: before it commits, everything is where it was, and after it, everything is where
// it is to be. Whenever this process dies, nothing is lost and nothing is there twice; the
// instances let the namespace go on where it was (EndAbandonedMoves), and it can be moved again.
//
// It returns access.ErrNoNamespace, ErrThere, ErrMoving or ErrBusy.
func (m *Mover) Move(ctx context.Context, by access.Caller, namespace, to string) (moved int64, err error) {
	// A statement that is interrupted would end the session, and nothing could be undone by it.
	asked, ctx := ctx, context.WithoutCancel(ctx)
	if isMine, err := db.New(m.Conn).LockMove(ctx, namespace); err != nil || !isMine {
		return 0, errors.Join(err, ErrMoving)
	}
	directory := New(m.Conn)
	from, err := directory.Of(ctx, namespace)
	if err != nil {
		return 0, err
	}
	if from == to {
		return 0, ErrThere
	}
	move := &move{Mover: m, asked: asked, directory: directory, by: by, namespace: namespace, from: from, to: to}
	if err := move.begin(ctx); err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, move.giveUp(ctx))
		}
	}()
	move.until = time.Now().Add(m.Within)
	if err := move.waitForRequests(ctx); err != nil {
		return 0, err
	}
	for {
		if err := move.waitForRuns(ctx); err != nil {
			return 0, err
		}
		if err := move.preparePartitions(ctx); err != nil {
			return 0, err
		}
		if moved, err = move.switchOver(ctx); !isTransient(err) || time.Now().After(move.until) {
			return moved, err
		}
	}
}

// isTransient reports whether it may help to try again: somebody has claimed a run at the last
// moment, or holds a lock, or has changed the same rows.
func isTransient(err error) bool {
	failed, ok := errors.AsType[*pgconn.PgError](err)
	return errors.Is(err, errHeld) || ok && slices.Contains([]string{
		pgerrcode.LockNotAvailable, pgerrcode.DeadlockDetected, pgerrcode.SerializationFailure,
	}, failed.Code)
}

// move is one move of a namespace.
type move struct {
	*Mover
	asked               context.Context //nolint:containedctx // it ends when nobody waits for the move any more
	until               time.Time       // how long others may take to end
	directory           *Directory
	by                  access.Caller
	namespace, from, to string
}

// begin makes the namespace stand still.
func (m *move) begin(ctx context.Context) error {
	return m.inCell(ctx, m.from, func(q *db.Queries) error {
		n, err := q.BeginMove(ctx, m.namespace)
		if err != nil {
			return fmt.Errorf("begin to move the namespace: %w", err)
		}
		if n == 0 {
			return access.ErrNoNamespace
		}
		return q.NotifyAccess(ctx)
	})
}

// inCell calls do in a transaction in a cell.
func (m *move) inCell(ctx context.Context, cell string, do func(*db.Queries) error) error {
	return Transact(ctx, m.Conn, func(tx *Transaction) error {
		q, err := tx.In(ctx, cell)
		if err != nil {
			return err
		}
		return do(q)
	})
}

// giveUp lets the namespace go on where it is.
func (m *move) giveUp(ctx context.Context) error {
	return m.inCell(ctx, m.from, func(q *db.Queries) error { return goOn(ctx, q, m.from, m.namespace, m.Free) })
}

// waitForRequests waits until all transactions have ended that may not have seen that the namespace
// stands still.
func (m *move) waitForRequests(ctx context.Context) error {
	var users []string
	err := m.inCell(ctx, m.from, func(q *db.Queries) (err error) {
		users, err = q.ListUsersOfNamespaces(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("list the transactions that have begun: %w", err)
	}
	return m.wait(ctx, func(q *db.Queries) (bool, error) { return q.HaveEnded(ctx, users) })
}

// waitForRuns waits until no run of the namespace is held.
func (m *move) waitForRuns(ctx context.Context) error {
	return m.wait(ctx, func(q *db.Queries) (bool, error) {
		held, err := q.CountHeld(ctx, m.namespace)
		return held == 0, err
	})
}

// wait looks again and again whether something has happened in the cell that the namespace leaves.
func (m *move) wait(ctx context.Context, look func(*db.Queries) (bool, error)) error {
	for {
		var hasHappened bool
		err := m.inCell(ctx, m.from, func(q *db.Queries) (err error) {
			hasHappened, err = look(q)
			return err
		})
		switch {
		case err != nil:
			return fmt.Errorf("wait until the namespace stands still: %w", err)
		case hasHappened:
			return nil
		case m.asked.Err() != nil:
			return m.asked.Err()
		case time.Now().After(m.until):
			return ErrBusy
		}
		clock.Sleep(m.asked, lookEach)
	}
}

// preparePartitions makes the other cell have partitions for all days of runs.
func (m *move) preparePartitions(ctx context.Context) error {
	var days []time.Time
	err := m.inCell(ctx, m.from, func(q *db.Queries) (err error) {
		days, err = q.ListRunsDays(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("list the days that have runs: %w", err)
	}
	for _, day := range days { // one transaction each: it locks other partitions
		err := m.inCell(ctx, m.to, func(q *db.Queries) error {
			_, err := q.CreateRunsPartition(ctx, day)
			return err
		})
		if err != nil {
			return fmt.Errorf("create a partition for %s in the other cell: %w", day.Format(time.DateOnly), err)
		}
	}
	return nil
}

// errHeld says that a run has been claimed at the last moment.
var errHeld = errors.New("a run of the namespace is held")

// switchOver moves all rows, and says where they are.
func (m *move) switchOver(ctx context.Context) (moved int64, err error) {
	var fromName, toName string
	for cell, name := range map[string]*string{m.from: &fromName, m.to: &toName} {
		if *name, err = m.directory.Name(ctx, cell); err != nil {
			return 0, err
		}
	}
	err = Transact(ctx, m.Conn, func(tx *Transaction) error {
		q, err := tx.In(ctx, m.from)
		if err != nil {
			return err
		}
		if err := q.LimitLockWait(ctx, lockWithin); err != nil {
			return fmt.Errorf("limit the wait for locks: %w", err)
		}
		for range 2 { // what the first lock has waited for may have left runs that it has not seen
			held, err := q.LockMoving(ctx, m.namespace)
			if err != nil {
				return fmt.Errorf("lock the namespace: %w", err)
			}
			if held > 0 {
				return errHeld
			}
		}
		if q, err = tx.In(ctx, First); err != nil {
			return err
		}
		moved, err = q.MoveNamespace(ctx, db.MoveNamespaceParams{Namespace: m.namespace, FromCell: fromName, ToCell: toName})
		if err != nil {
			return fmt.Errorf("move the rows: %w", err)
		}
		if err := q.PlaceAnew(ctx, db.PlaceAnewParams{Namespace: m.namespace, Cell: m.to}); err != nil {
			return fmt.Errorf("say where the namespace is: %w", err)
		}
		if q, err = tx.In(ctx, m.to); err != nil {
			return err
		}
		if err := goOn(ctx, q, m.to, m.namespace, m.Free); err != nil {
			return err
		}
		by := m.by
		by.Namespace = m.namespace
		return audit.Record(ctx, q, by, audit.Entry{
			Operation: "moveNamespace", Type: audit.Namespace, ID: m.namespace, Result: map[string]any{"fromCell": fromName, "toCell": toName},
		})
	})
	return moved, err
}
