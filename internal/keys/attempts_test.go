package keys_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/database"
	"punctual/internal/keys"
	"punctual/internal/logging"
	"punctual/internal/testdb"
)

// newVerifier returns a verifier that knows nothing yet, its database, and a key.
func newVerifier(t *testing.T) (*keys.Verifier, *pgxpool.Pool, string) {
	t.Helper()
	pool, err := database.Open(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	verifier, err := keys.NewVerifier(db.New(pool))
	require.NoError(t, err)
	_, plain, err := keys.New(keys.Config{Pool: pool}).Create(t.Context(), access.Command("default"),
		keys.Request{Description: "of a test", Scopes: access.Scopes})
	require.NoError(t, err)
	return verifier, pool, plain.Reveal()
}

// When an instance starts, all programs that have the same key come at once. The key is looked up
// once, so that is one attempt, and nobody is refused who may fail no more often.
func TestVerifyAtOnceIsOneAttempt(t *testing.T) {
	t.Parallel()
	verifier, pool, key := newVerifier(t)
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	_, err = tx.Exec(t.Context(), "lock table keys in access exclusive mode")
	require.NoError(t, err)
	begun, first := make(chan struct{}), make(chan error)
	go func() {
		_, err := verifier.Verify(access.WithAttempts(t.Context(), func() error { close(begun); return nil }), key)
		first <- err
	}()
	<-begun
	brief, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = verifier.Verify(access.WithAttempts(brief, func() error { return access.ErrTooManyAttempts }), key)
	require.ErrorIs(t, err, context.DeadlineExceeded, "it waits for the same answer")
	require.NoError(t, tx.Rollback(t.Context()))
	require.NoError(t, <-first)

	other := "punc_aaaaaaaaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaag6kh3"
	for range 2 { // what was refused leaves nothing behind that others could wait for
		_, err = verifier.Verify(access.WithAttempts(t.Context(), func() error { return access.ErrTooManyAttempts }), other)
		require.ErrorIs(t, err, access.ErrTooManyAttempts)
	}
}

func TestUsesAreStoredAtTheEnd(t *testing.T) {
	t.Parallel()
	verifier, pool, key := newVerifier(t)
	_, err := verifier.Verify(t.Context(), key)
	require.NoError(t, err)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	verifier.Run(ended, logging.New(t.Output(), 0))
	var isUsed bool
	require.NoError(t, pool.QueryRow(t.Context(), "select last_used_at is not null from keys where id = $1", strings.Split(key, "_")[1]).Scan(&isUsed))
	require.True(t, isUsed)
}
