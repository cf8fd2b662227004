package keys

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/access"
)

var read = []string{"ReadKey"}

func TestKeyIsReadOnce(t *testing.T) {
	t.Parallel()
	f := setup(t)
	view, plain := f.create(Request{
		Scopes: []access.Scope{access.Workers}, Queues: []string{"images"}, RequestsPerSecond: new(int32(7)),
	})
	caller, err := f.Verify(t.Context(), plain.Reveal())
	require.NoError(t, err)
	require.Equal(t, access.Caller{
		Actor: "key:" + view.ID, Namespace: "default", Scopes: []access.Scope{access.Workers}, Queues: []string{"images"},
		RequestsPerSecond: new(int32(7)),
	}, caller)
	require.Equal(t, read, f.sent.take())
	for range 10 {
		f.readAgo(view.ID, 0)
		again, err := f.Verify(t.Context(), plain.Reveal())
		require.NoError(t, err)
		require.Equal(t, caller, again)
	}
	require.Empty(t, f.sent.take())
}

func TestServiceWideKeyHasNoNamespace(t *testing.T) {
	t.Parallel()
	f := setup(t)
	_, plain := f.create(Request{IsServiceWide: true})
	caller, err := f.Verify(t.Context(), plain.Reveal())
	require.NoError(t, err)
	require.True(t, caller.IsServiceWide)
	require.Empty(t, caller.Namespace)
}

// Whoever does not know the secret learns nothing of a key but that the credentials are not valid.
func TestWrongSecret(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, what := range []string{"active", "revoked", "expired"} {
		view, plain := f.create(Request{})
		switch what {
		case "revoked":
			require.NoError(t, f.service.Revoke(t.Context(), me, view.ID))
			require.ErrorIs(t, f.verify(plain), access.ErrRevoked)
		case "expired":
			_, err := f.pool.Exec(t.Context(), `update keys set expires_at = now() where id = $1`, view.ID)
			require.NoError(t, err)
			require.ErrorIs(t, f.verify(plain), access.ErrExpired)
		}
		for bit := range 8 * secretBytes {
			wrong := plain
			wrong.secret[bit/8] ^= 1 << (bit % 8)
			require.Equal(t, access.ErrInvalid, f.verify(wrong), "%s, bit %d", what, bit)
		}
	}
}

// The form of a key is checked before anybody is asked.
func TestMalformedKeyAsksNobody(t *testing.T) {
	t.Parallel()
	f := setup(t)
	_, plain := f.create(Request{})
	for _, text := range []string{"", "punc_", plain.Reveal() + "a", plain.Reveal()[1:], plain.String()} {
		_, err := f.Verify(t.Context(), text)
		require.Equal(t, access.ErrInvalid, err, text)
	}
	require.Empty(t, f.sent.take())
}

func TestUnknownIDIsRememberedForAMoment(t *testing.T) {
	t.Parallel()
	f := setup(t)
	plain := generate()
	id := plain.ID()
	require.Equal(t, access.ErrInvalid, f.verify(plain))
	require.Equal(t, read, f.sent.take())
	f.readAgo(id, 0)
	require.Equal(t, access.ErrInvalid, f.verify(plain))
	require.Empty(t, f.sent.take(), "the id is remembered")

	now, err := f.queries.DatabaseTime(t.Context())
	require.NoError(t, err)
	_, err = db.New(f.pool).CreateKey(t.Context(), Request{Description: "late", Scopes: access.Scopes}.params(me, plain, now))
	require.NoError(t, err)
	f.sent.take()
	f.readAgo(id, 0)
	require.Equal(t, access.ErrInvalid, f.verify(plain), "nobody has told of the new key")
	f.Forget()
	f.readAgo(id, 0)
	require.NoError(t, f.verify(plain), "somebody has")
	require.Equal(t, read, f.sent.take())
	require.Zero(t, f.unknown.Len())
}

func TestUnknownIDIsReadAgain(t *testing.T) {
	t.Parallel()
	f := setup(t)
	plain := generate()
	require.Equal(t, access.ErrInvalid, f.verify(plain))
	f.readAgo(plain.ID(), unknownFor)
	require.Equal(t, access.ErrInvalid, f.verify(plain))
	require.Equal(t, append(read, read...), f.sent.take())
}

// Without a notification, a revoked key is refused after knownFor.
func TestRevocationWithoutNotification(t *testing.T) {
	t.Parallel()
	f := setup(t)
	view, plain := f.create(Request{})
	require.NoError(t, f.verify(plain))
	require.NoError(t, f.service.Revoke(t.Context(), me, view.ID))
	f.readAgo(view.ID, knownFor/2)
	require.NoError(t, f.verify(plain), "it is still remembered")
	f.readAgo(view.ID, knownFor)
	require.ErrorIs(t, f.verify(plain), access.ErrRevoked)
	require.Equal(t, append(read, read...), f.sent.take())
	require.Equal(t, 5*time.Second, knownFor, "as documented")
}

// A key expires while it is remembered.
func TestKeyExpiresWithoutBeingRead(t *testing.T) {
	t.Parallel()
	f := setup(t)
	view, plain := f.create(Request{ExpiresAt: new(time.Now().Add(time.Hour))})
	require.NoError(t, f.verify(plain))
	e, _ := f.known.Peek(view.ID)
	f.readAgo(view.ID, 0)
	e.readAt = *view.ExpiresAt
	require.ErrorIs(t, f.verify(plain), access.ErrExpired)
	require.Equal(t, read, f.sent.take())
}

// An answer that the database gave before a revocation is not kept beyond it, however late it
// comes, and nobody who asks after it waits for that answer.
func TestAnswerFromBeforeARevocation(t *testing.T) {
	t.Parallel()
	f := setup(t)
	view, plain := f.create(Request{})
	hasAnswered, release := f.sent.holdAnswer(t)
	early := make(chan error, 1)
	go func() { early <- f.verify(plain) }()
	<-hasAnswered
	require.NoError(t, f.service.Revoke(t.Context(), me, view.ID))
	f.Forget()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err := f.Verify(ctx, plain.Reveal())
	require.ErrorIs(t, err, access.ErrRevoked, "who comes later does not get the early answer")
	release()
	require.NoError(t, <-early, "this request came before the revocation")
	require.ErrorIs(t, f.verify(plain), access.ErrRevoked, "the early answer is not kept")
	require.Equal(t, append(append(read, read...), read...), f.sent.take())
}

// waiting is a context that tells when its request waits for an answer.
type waiting struct {
	context.Context
	begins func()
}

func (w waiting) Done() <-chan struct{} {
	w.begins()
	return w.Context.Done()
}

// However many requests come with a key that is not remembered, one asks for all.
func TestConcurrentRequestsAskOnce(t *testing.T) {
	t.Parallel()
	const requests = 50
	f := setup(t)
	_, plain := f.create(Request{})
	_, release := f.sent.holdAnswer(t)
	all := make(chan struct{})
	var waiters atomic.Int32
	ctx := waiting{t.Context(), func() {
		if waiters.Add(1) == requests {
			close(all)
		}
	}}
	var group sync.WaitGroup
	for range requests {
		group.Go(func() {
			if _, err := f.Verify(ctx, plain.Reveal()); err != nil {
				t.Error(err)
			}
		})
	}
	<-all
	release()
	group.Wait()
	require.Equal(t, read, f.sent.take())
}

// The end of the request that asks first is no answer for the others.
func TestFirstRequestIsCancelled(t *testing.T) {
	t.Parallel()
	f := setup(t)
	_, plain := f.create(Request{})
	hasAnswered, release := f.sent.holdAnswer(t)
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := f.Verify(ctx, plain.Reveal())
		first <- err
	}()
	<-hasAnswered
	go func() { second <- f.verify(plain) }()
	cancel()
	require.ErrorIs(t, <-first, context.Canceled)
	release()
	require.NoError(t, <-second)
}

// What an instance remembers is bounded, and unknown ids drive out no key.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	f := setup(t)
	view, plain := f.create(Request{})
	require.NoError(t, f.verify(plain))
	for range maxUnknown + 10 {
		require.Equal(t, access.ErrInvalid, f.verify(generate()))
	}
	require.Equal(t, maxUnknown, f.unknown.Len())
	f.sent.take()
	f.readAgo(view.ID, 0)
	require.NoError(t, f.verify(plain))
	require.Empty(t, f.sent.take(), "the key is still remembered")

	for n := range maxKnown {
		f.known.Add(strconv.Itoa(n), &entry{key: &db.Key{}})
	}
	require.Equal(t, maxKnown, f.known.Len())
	require.NoError(t, f.verify(plain), "a key that was driven out is read again")
	require.Equal(t, read, f.sent.take())
	require.Equal(t, maxKnown, f.known.Len())
}

// Whoever has tried too much does not reach the database, except with a key that is known.
func TestTooManyAttempts(t *testing.T) {
	t.Parallel()
	f := setup(t)
	view, plain := f.create(Request{})
	ctx := access.WithAttempts(t.Context(), func() error { return access.ErrTooManyAttempts })
	_, err := f.Verify(ctx, plain.Reveal())
	require.Equal(t, access.ErrTooManyAttempts, err)
	require.Empty(t, f.sent.take())
	require.NoError(t, f.verify(plain))
	f.readAgo(view.ID, knownFor)
	_, err = f.Verify(ctx, plain.Reveal())
	require.NoError(t, err)
}

// If the database does not answer, nobody knows whether a key is valid. That is not remembered.
func TestDatabaseFails(t *testing.T) {
	t.Parallel()
	f := setup(t)
	view, plain := f.create(Request{})
	require.NoError(t, f.verify(plain))
	_, err := f.pool.Exec(t.Context(), `alter table keys rename to hidden`)
	require.NoError(t, err)
	for name, key := range map[string]Plain{"a new key": generate(), "a key that was known": plain} {
		f.Forget()
		err := f.verify(key)
		require.Error(t, err, name)
		require.NotErrorIs(t, err, access.ErrInvalid, name)
	}
	_, err = f.pool.Exec(t.Context(), `alter table hidden rename to keys`)
	require.NoError(t, err)
	require.NoError(t, f.verify(plain))
	require.Equal(t, []string{"ReadKey", "ReadKey", "ReadKey", "ReadKey"}, f.sent.take())
	require.NotEmpty(t, view.ID)
}
