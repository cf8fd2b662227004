// Package jobs makes every change of a job: it creates, edits, pauses, resumes and deletes jobs,
// and starts, repeats, cancels and backfills their runs.
//
// Each method of Service opens a transaction of its own, in which it locks the job and then the
// job's due rows, and announces after the commit what has become due. A claim of a due row comes
// before or after such a change, never between.
//
// A job whose runs may not overlap has only one due row that anybody can claim, at any time: a run
// started by hand takes that row's place, or waits behind it, and an edited schedule goes on from
// it. So no two of its rows can ever be claimed at once.
//
// A new field of a job has to be added here in Change, in Change.applyTo, in effects and in
// params.go; tests fail until it stands in all of them.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"punctual/internal/clock"

	"github.com/google/uuid"
	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/database"
	"punctual/internal/events"
	"punctual/internal/executor"
	"punctual/internal/history"
	"punctual/internal/secrets"
)

// Config is what a Service needs. Zero means default.
type Config struct {
	Pool   *pgxpool.Pool
	Logger *slog.Logger // default: slog.Default
	// Events tells what happens to jobs and runs. Default: nobody is told.
	Events *events.Teller
	// Observe gets to know of each run that a change has ended: skipped, or canceled before it began.
	// Default: nobody looks on.
	Observe events.Observer
	// Announce is told, after the commit, that something is due at readyAt, by the
	// database's clock: for the workers of a queue, or for instances, whose queue is the empty one.
	// It must not block. Default: nobody is told, and what is due is found by polling.
	Announce func(queue string, readyAt time.Time)
	// Contract is what the contract says of jobs. Only creating a job and changing a target need
	// it.
	Contract Contract
	// Targets checks the definitions of targets. Default: they satisfy the contract and no more.
	Targets executor.Checker
	// Secrets seals the secrets of targets.
	Secrets secrets.Keyring
	// RetentionDays is how many days runs are kept. Default: for ever. An occurrence that is older
	// cannot be backfilled, and is not recorded as skipped.
	RetentionDays int
	// EventsStarted is called after the commit with how many events have started runs. Default:
	// nobody is told.
	EventsStarted func(events int)
}

// Contract is what the contract of the API says of jobs, so that it is written nowhere else.
type Contract struct {
	// Defaults are the values of what the request for a new job leaves out.
	Defaults Change
	// TargetTypes are the types of targets, by name.
	TargetTypes map[string]TargetType
	// CheckTarget returns the fields in which a target is not as the contract says, as a request
	// names them. The contract has checked the target of a new job already; a change gives only a
	// part of one. Default: every target is as it says.
	CheckTarget func(Target) []Field
}

// TargetType is what the contract says of one type of target.
type TargetType struct {
	// Fields are the names of all fields, and Defaults the values of those that have one.
	Fields   map[string]bool
	Defaults map[string]any
	// IsSecret names the fields that are only ever written.
	IsSecret map[string]bool
}

// Service changes jobs. Make it with New. Safe for concurrent use.
type Service struct {
	Config
	queries *db.Queries
	// clock estimates the database's time.
	clock clock.Clock
}

// New returns a Service.
func New(c Config) *Service {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Announce == nil {
		c.Announce = func(string, time.Time) {}
	}
	if c.Observe == nil {
		c.Observe = func(*db.Job, string, events.Run) {}
	}
	if c.Targets == nil {
		c.Targets = executor.ByType{}
	}
	if c.Contract.CheckTarget == nil {
		c.Contract.CheckTarget = func(Target) []Field { return nil }
	}
	return &Service{Config: c, queries: db.New(c.Pool)}
}

// edit is a transaction that holds the lock of a job.
type edit struct {
	*db.Queries
	// history has the statements that are planned for each execution: those that read runs, which
	// must not lock all partitions, and those that read event_starts, which is empty or full.
	history *db.Queries
	// by is who makes the change, and operation is its name in the audit. The empty name stands for
	// the operation that changes only this.
	by        access.Caller
	operation string
	// bulk is the bulk change that the change is a part of, or nil.
	bulk *Bulk
	// after is what others hear of once the change is committed.
	after *aftermath
	// calendars are those that the request names.
	calendars calendars
	// job is as it was when it was locked.
	job Definition
	// now is the database's time since then: later than whatever was stored under the lock before.
	// A time read together with the job would be that of before the wait for the lock.
	now time.Time
	// passed is the instant up to which occurrences have passed that the edit does not leave to be
	// executed. It is now, unless findPassed finds another one.
	passed time.Time
}

const (
	// maxDeadlocks is how often a change is tried that PostgreSQL ends because of a deadlock, or
	// because of a key.
	maxDeadlocks = 10
	// maxDeadlockPause bounds the random pause before the next try. Without it, changes that wait
	// for the same job meet the completion of its next run again.
	maxDeadlockPause = 200 * time.Millisecond
)

// edit calls do in a transaction under the lock of a job. It returns ErrNotFound if there is no
// such job in the namespace of the caller, and otherwise the error of do, which may be called more
// than once.
func (s *Service) edit(ctx context.Context, by access.Caller, id uuid.UUID, do func(edit) error) error {
	return s.transact(ctx, func(e edit) (err error) {
		e.by = by
		if e.job, err = e.LockJob(ctx, db.LockJobParams{ID: id, Namespace: by.Namespace}); errors.Is(err, pgx.ErrNoRows) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("lock the job: %w", err)
		}
		return e.begin(ctx, do)
	})
}

// editRuns is edit for what concerns only runs, without the lock of the job, of which do knows only
// the id: the job may be deleted.
func (s *Service) editRuns(ctx context.Context, by access.Caller, job uuid.UUID, do func(edit) error) error {
	return s.transact(ctx, func(e edit) error {
		e.by, e.job.ID = by, job
		return e.begin(ctx, do)
	})
}

func (e edit) begin(ctx context.Context, do func(edit) error) (err error) {
	if e.now, err = e.DatabaseTime(ctx); err != nil {
		return fmt.Errorf("read the database's time: %w", err)
	}
	e.passed = e.now
	return do(e)
}

// transact calls do in a transaction, and again on deadlock: an edit locks the job, then its due
// rows, and a completion that deactivates the job locks them in the opposite order. It also calls
// do again if another transaction has taken the key of a new job meanwhile: now do finds that job.
func (s *Service) transact(ctx context.Context, do func(edit) error) (err error) {
	for range maxDeadlocks {
		var committed func()
		err = pgx.BeginTxFunc(ctx, s.Pool, database.Locking, func(tx pgx.Tx) error {
			e := edit{Queries: db.New(tx), history: history.Queries(tx), after: new(aftermath)}
			err := do(e)
			if err == nil {
				committed, err = s.tell(ctx, e)
			}
			return err
		})
		if err == nil {
			committed()
		}
		if isKeyTaken(err) {
			continue // it has been committed: there is nothing to wait for
		}
		if deadlock, ok := errors.AsType[*pgconn.PgError](err); !ok || deadlock.Code != pgerrcode.DeadlockDetected {
			break
		}
		clock.Sleep(ctx, rand.N(maxDeadlockPause)) //nolint:gosec // spreading needs no secrecy
	}
	return err
}

// announce tells whoever executes a job's runs that something is due.
func (s *Service) announce(queue *string, readyAt time.Time) {
	name := ""
	if queue != nil {
		name = *queue
	}
	s.Announce(name, readyAt)
}

// announceNow tells the instances to look at once, for rows that may be older than they expect.
func (s *Service) announceNow() { s.Announce("", time.Time{}) }
