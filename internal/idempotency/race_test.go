package idempotency_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/audit"
	"punctual/internal/database"
	"punctual/internal/idempotency"
)

// outcome is what Begin returns.
type outcome struct {
	idempotency.Begun
	err error
}

// An attempt whose place was taken changes nothing any more, in whichever way it writes the audit.
func TestTaken_changesNothing(t *testing.T) {
	t.Parallel()
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			first, _ := f.begin(f.dead)
			second, _ := f.begin(f.alive)
			require.ErrorIs(t, change(t, f, first, f.Queries), audit.ErrSuperseded)
			require.Zero(t, f.Count(`select count(*) from audit`)+f.Count(`select count(*) from jobs`)+f.Count(`select count(*) from due`))
			require.NoError(t, change(t, f, second, f.Queries))
			require.NotZero(t, f.Count(`select count(*) from audit`))
		})
	}
}

// Who takes the place of an attempt waits for what it is about to commit, and sees it.
func TestTake_waitsForTheCommit(t *testing.T) {
	t.Parallel()
	for name, isCommitted := range map[string]bool{"committed": true, "rolled back": false} {
		for _, way := range []string{"AddToAudit", "CopyAudit"} {
			t.Run(name+" "+way, func(t *testing.T) {
				t.Parallel()
				f := setup(t)
				first, _ := f.begin(f.dead)
				tx, err := f.Pool.BeginTx(t.Context(), database.Locking)
				require.NoError(t, err)
				require.NoError(t, changes[way](t, f, first, db.New(tx)))

				taken := make(chan outcome, 1)
				go func() {
					begun, err := f.alive.Begin(t.Context(), caller(""), request)
					taken <- outcome{begun, err}
				}()
				f.someoneWaits()
				if !isCommitted {
					require.NoError(t, tx.Rollback(t.Context()))
					got := <-taken
					require.NoError(t, got.err)
					require.NotNil(t, got.Attempt, "it is served anew")
					return
				}
				require.NoError(t, tx.Commit(t.Context()))
				got := <-taken
				require.NoError(t, got.err)
				require.Nil(t, got.Attempt)
				require.NotEmpty(t, got.Served.Entries, "the entries tell what it has done")
				require.Equal(t, "runJob", got.Served.Entries[0].Operation)
			})
		}
	}
}

// An attempt that comes to the audit while its place is being taken waits for that, and changes
// nothing.
func TestTaken_meanwhile(t *testing.T) {
	t.Parallel()
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			first, attempt := f.begin(f.dead)
			tx, err := f.Pool.BeginTx(t.Context(), database.Locking)
			require.NoError(t, err)
			q := db.New(tx)
			_, err = q.LockIdempotent(t.Context(), db.LockIdempotentParams{Namespace: first.Namespace, RequestID: attempt.ID})
			require.NoError(t, err)

			refused := make(chan error, 1)
			go func() { refused <- change(t, f, first, f.Queries) }()
			f.someoneWaits()
			n, err := q.TakeIdempotent(t.Context(), db.TakeIdempotentParams{
				Namespace: first.Namespace, RequestID: attempt.ID, NextRequestID: audit.NewAttempt("next"), RequestDigest: make([]byte, 32),
			})
			require.NoError(t, err)
			require.EqualValues(t, 1, n)
			require.NoError(t, tx.Commit(t.Context()))
			require.ErrorIs(t, <-refused, audit.ErrSuperseded)
			require.Zero(t, f.Count(`select count(*) from audit`)+f.Count(`select count(*) from jobs`))
		})
	}
}

// Of many requests that find an attempt left, one takes its place.
func TestTake_once(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.begin(f.dead)
	got := make(chan outcome, 20)
	for range cap(got) {
		go func() {
			begun, err := f.alive.Begin(t.Context(), caller(""), request)
			got <- outcome{begun, err}
		}()
	}
	served := 0
	for range cap(got) {
		if o := <-got; o.err == nil {
			require.NotNil(t, o.Attempt)
			served++
		} else {
			require.ErrorIs(t, o.err, idempotency.ErrInUse)
		}
	}
	require.Equal(t, 1, served)
}

// An end waits for a transaction of its attempt of which nobody knows whether it is committed.
func TestSettle_waitsForTheCommit(t *testing.T) {
	t.Parallel()
	f := setup(t)
	first, attempt := f.begin(f.alive)
	tx, err := f.Pool.BeginTx(t.Context(), database.Locking)
	require.NoError(t, err)
	require.NoError(t, changes["AddToAudit"](t, f, first, db.New(tx)))
	ended := make(chan error, 1)
	go func() { ended <- attempt.Settle(t.Context()) }()
	f.someoneWaits()
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, <-ended)
	begun, err := f.alive.Begin(t.Context(), caller(""), request)
	require.NoError(t, err)
	require.Len(t, begun.Served.Entries, 1)
}
