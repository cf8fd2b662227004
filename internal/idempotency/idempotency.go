// Package idempotency makes it safe to repeat a request that has an Idempotency-Key: the repeated
// request gets the first answer, and nothing is done a second time.
//
// A request takes its key with a row before it is served (Begin), and its answer is stored in the
// row before the client gets it (Attempt.Store). Serving the request is an attempt, and each
// attempt has an id that no other has. The changes of the request are written to the audit under
// this id, in the transaction of each change, so the audit is the receipt: it tells what the
// attempt has committed, whatever became of the instance and of the answer.
//
// An attempt may end without an answer that could be stored: its instance was killed, the database
// failed, or nobody knows whether a commit succeeded. Then another attempt takes its place, as soon
// as the instance is not alive any more or no request takes that long. Time decides only when this
// is tried. That nothing is done twice is for the database to see to:
//
//   - The statement that writes the audit locks the row of the attempt until the end of the
//     transaction (for key share). If the row has another attempt, it writes nothing, and the
//     transaction is not committed. A test finds each such statement.
//   - Who takes the place locks the row first (for update). This waits for all transactions that
//     have the lock above, and none gets that lock until the row has the next attempt.
//   - Then it reads the audit, in a statement that begins when it has the lock. So it sees all that
//     the attempt has committed, and the attempt commits nothing more. If there are entries, the
//     request was served, and its answer is made of what they name. If there are none, the request
//     is served anew, as the next attempt.
//
// So it does not matter how slow the first attempt is, or whether its instance was stopped and goes
// on later: its next statement finds that its place is taken.
package idempotency

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/audit"
	"punctual/internal/clock"
	"punctual/internal/database"
)

const (
	// KeptFor is how long a request is remembered.
	KeptFor = 24 * time.Hour
	// ServedWithin is how long an attempt may take.
	ServedWithin = time.Minute
	// leftAfter is after how long an attempt counts as ended although its instance is alive.
	leftAfter = ServedWithin + 30*time.Second
)

var (
	// ErrReused is the error for a key that belongs to another request.
	ErrReused = errors.New("another request had this Idempotency-Key")
	// ErrInUse is the error for a key whose request is being served.
	ErrInUse = errors.New("a request with this Idempotency-Key is being served")
)

// Config is what a Service needs. Zero means default, except for Pool and Instance.
type Config struct {
	Pool   *pgxpool.Pool
	Logger *slog.Logger
	// Instance is the id of this instance in the table instances.
	Instance uuid.UUID
}

// Service remembers requests. Make it with New. Safe for concurrent use.
type Service struct {
	Config
	queries *db.Queries
}

// New returns a Service.
func New(c Config) *Service {
	c.Logger = cmp.Or(c.Logger, slog.Default())
	return &Service{Config: c, queries: db.New(c.Pool)}
}

// Begun is what is to be done with a request: one of the fields is given.
type Begun struct {
	// Attempt is the request's own, if it is to be served.
	Attempt *Attempt
	// Answer is the first answer, if it is known.
	Answer *Answer
	// Served is what an attempt has changed whose answer is not known.
	Served *Served
}

// Served is an attempt that has changed something, and whose answer is not known.
type Served struct {
	*Attempt
	// Entries are what it has written to the audit, in that order, up to maxEntries.
	Entries []Entry
}

// Entry is an entry of the audit.
type Entry = db.ListAttemptRow

// maxEntries is how many entries of an attempt are read. No operation is about more things.
const maxEntries = 1000

// Attempt is a try to serve a request.
type Attempt struct {
	s         *Service
	namespace string
	// ID is the id under which its changes are written to the audit.
	ID string
}

// maxRounds is how often a request looks at its key when others change it at the same time.
const maxRounds = 5

// takeFree takes a key, unless it is taken already: then it returns zero. It takes one round trip.
func (s *Service) takeFree(ctx context.Context, row db.BeginIdempotentParams) (rows int64, err error) {
	conn, err := s.Pool.Acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Release()
	together := database.Together(conn)
	if err := db.New(together.Later()).CommitAsynchronously(ctx); err != nil {
		return 0, err
	}
	return db.New(together).BeginIdempotent(ctx, row)
}

// Begin takes the key of a request, or finds what became of the request that has it. It returns
// ErrReused or ErrInUse if the request is to be refused.
func (s *Service) Begin(ctx context.Context, by access.Caller, r Request) (Begun, error) {
	key, request := r.digests()
	own := &Attempt{s, by.Namespace, audit.NewAttempt(by.RequestID)}
	for range maxRounds {
		n, err := s.takeFree(ctx, db.BeginIdempotentParams{
			Namespace: by.Namespace, Actor: by.Actor, KeyDigest: key, RequestDigest: request,
			RequestID: own.ID, InstanceID: s.Instance,
		})
		if err != nil {
			s.insist(ctx, own.Settle) // it may be stored all the same
			return Begun{}, fmt.Errorf("take the idempotency key: %w", err)
		}
		if n > 0 {
			return Begun{Attempt: own}, nil
		}
		row, err := s.queries.GetIdempotent(ctx, db.GetIdempotentParams{
			Namespace: by.Namespace, Actor: by.Actor, KeyDigest: key, KeptFor: KeptFor, ServedWithin: leftAfter,
		})
		if errors.Is(err, pgx.ErrNoRows) {
			continue // its request has changed nothing, and is forgotten
		}
		if err != nil {
			return Begun{}, fmt.Errorf("read the idempotency key: %w", err)
		}
		begun, err := s.meet(ctx, own, request, &row)
		if err != nil || begun != (Begun{}) {
			return begun, err
		}
	}
	return Begun{}, ErrInUse
}

// meet decides what is to be done with a request whose key was taken before. It returns the zero
// Begun if somebody else has changed the row in the meantime.
func (s *Service) meet(ctx context.Context, own *Attempt, request []byte, row *db.GetIdempotentRow) (begun Begun, err error) {
	before := &Attempt{s, own.namespace, row.RequestID}
	switch {
	case row.IsOver:
		return s.take(ctx, s.queries, before, own, request, 0)
	case !slices.Equal(row.RequestDigest, request):
		return Begun{}, ErrReused
	case row.Status != nil && row.Body != nil:
		answer, err := newAnswer(row)
		return Begun{Answer: answer}, err
	case row.Status != nil: // its body is not kept
		if begun, err = before.served(ctx, s.queries); err == nil && len(begun.Served.Entries) == 0 {
			return s.take(ctx, s.queries, before, own, request, KeptFor) // such as a dry run with a large answer
		}
		return begun, err
	case !row.IsLeft:
		return Begun{}, ErrInUse
	}
	err = before.locked(ctx, func(q *db.Queries) error {
		if begun, err = before.served(ctx, q); err == nil && len(begun.Served.Entries) == 0 {
			begun, err = s.take(ctx, q, before, own, request, KeptFor)
		}
		return err
	})
	return begun, err
}

// take gives the place of an attempt to the next one, whose request was first sent at most so long
// ago. It returns the zero Begun if another one has the place already.
func (s *Service) take(ctx context.Context, q *db.Queries, before, next *Attempt, request []byte, age time.Duration) (Begun, error) {
	n, err := q.TakeIdempotent(ctx, db.TakeIdempotentParams{
		Namespace: before.namespace, RequestID: before.ID, NextRequestID: next.ID, InstanceID: s.Instance,
		RequestDigest: request, Age: age,
	})
	switch {
	case err != nil:
		return Begun{}, fmt.Errorf("take the place of an attempt: %w", err)
	case n == 0:
		return Begun{}, nil
	default:
		return Begun{Attempt: next}, nil
	}
}

// served returns what an attempt has changed.
func (a *Attempt) served(ctx context.Context, q *db.Queries) (Begun, error) {
	entries, err := q.ListAttempt(ctx, db.ListAttemptParams{RequestID: a.ID, MaxRows: maxEntries})
	if err != nil {
		return Begun{}, fmt.Errorf("read what an attempt has changed: %w", err)
	}
	return Begun{Served: &Served{a, entries}}, nil
}

// locked calls do in a transaction in which the attempt can make no changes. It does nothing if the
// attempt has lost its place, or has its answer.
func (a *Attempt) locked(ctx context.Context, do func(*db.Queries) error) error {
	return pgx.BeginTxFunc(ctx, a.s.Pool, database.Locking, func(tx pgx.Tx) error {
		q := db.New(tx)
		_, err := q.LockIdempotent(ctx, db.LockIdempotentParams{Namespace: a.namespace, RequestID: a.ID})
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("lock an attempt: %w", err)
		}
		return do(q)
	})
}

// Store stores the answer. A failure is logged, and the answer is stored later: a repeated request
// is refused until then.
func (a *Attempt) Store(ctx context.Context, answer Answer) {
	params, err := answer.params()
	if err != nil {
		a.s.Logger.ErrorContext(ctx, "could not compress an answer, which is therefore not kept", "error", err)
	}
	params.Namespace, params.RequestID = a.namespace, a.ID
	store := func(ctx context.Context) error {
		_, err := a.s.queries.StoreAnswer(ctx, params)
		return err
	}
	if err := store(ctx); err != nil {
		a.s.Logger.WarnContext(ctx, "could not store an answer; it is tried again, and repeated requests are refused until then", "error", err)
		a.s.insist(ctx, store)
	}
}

// End ends an attempt whose answer is not to be given again, or whose outcome nobody knows. It is
// tried again if it fails.
func (a *Attempt) End(ctx context.Context) {
	if err := a.Settle(ctx); err != nil {
		a.s.Logger.WarnContext(ctx, "could not give up an idempotency key; it is tried again, and repeated requests are refused until then",
			"error", err)
		a.s.insist(ctx, a.Settle)
	}
}

// Settle forgets the request if the attempt has changed nothing, so that it can be served again.
// Otherwise a repeated request gets an answer that is made of the audit.
func (a *Attempt) Settle(ctx context.Context) error {
	return a.locked(ctx, func(q *db.Queries) error {
		begun, err := a.served(ctx, q)
		switch {
		case err != nil:
			return err
		case len(begun.Served.Entries) == 0:
			return q.ForgetIdempotent(ctx, db.ForgetIdempotentParams{Namespace: a.namespace, RequestID: a.ID})
		default:
			return q.LeaveIdempotent(ctx, db.LeaveIdempotentParams{Namespace: a.namespace, RequestID: a.ID})
		}
	})
}

const (
	// insistFor is how long to try again what has failed. Later, the place can be taken anyway.
	insistFor = leftAfter
	// insistEvery is the time between two tries.
	insistEvery = time.Second
)

// insist tries again and again what has failed, in the background, since the database may be away
// for a while.
func (s *Service) insist(ctx context.Context, do func(context.Context) error) {
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), insistFor)
		defer cancel()
		for ctx.Err() == nil && do(ctx) != nil {
			clock.Sleep(ctx, insistEvery)
		}
	}()
}
