package idempotency_test

import (
	"bytes"
	"crypto/rand"
	"net/http"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/internal/access"
	"punctual/internal/audit"
	"punctual/internal/idempotency"
	"punctual/internal/maintenance"
)

var stored = idempotency.Answer{Status: http.StatusCreated, Location: "/x", ETag: `"1"`, Body: []byte(`{"a":1}`)}

// A repeated request gets the stored answer, until a day has passed.
func TestAnswer(t *testing.T) {
	t.Parallel()
	f := setup(t)
	_, attempt := f.begin(f.alive)
	_, err := f.alive.Begin(t.Context(), caller(""), request)
	require.ErrorIs(t, err, idempotency.ErrInUse, "it is being served")
	attempt.Store(t.Context(), stored)
	begun, err := f.dead.Begin(t.Context(), caller(""), request)
	require.NoError(t, err)
	require.Equal(t, idempotency.Begun{Answer: &stored}, begun)

	other := request
	other.Body = []byte(`{"a":2}`)
	_, err = f.alive.Begin(t.Context(), caller(""), other)
	require.ErrorIs(t, err, idempotency.ErrReused)

	f.Exec(`update idempotency_keys set created_at = created_at - interval '1 day'`)
	begun, err = f.alive.Begin(t.Context(), caller(""), other)
	require.NoError(t, err)
	require.NotNil(t, begun.Attempt, "a day later the key may be of another request")
	_, err = f.alive.Begin(t.Context(), caller(""), other)
	require.ErrorIs(t, err, idempotency.ErrInUse)
	_, err = f.alive.Begin(t.Context(), caller(""), request)
	require.ErrorIs(t, err, idempotency.ErrReused)
	attempt.Store(t.Context(), stored) // of the attempt before, late
	_, err = f.alive.Begin(t.Context(), caller(""), other)
	require.ErrorIs(t, err, idempotency.ErrInUse)
}

// A request that has changed nothing, and whose answer was too large to be stored, is served anew.
func TestAnswer_isTooLarge(t *testing.T) {
	t.Parallel()
	f := setup(t)
	large := make([]byte, 3<<20)
	_, _ = rand.Read(large)
	_, attempt := f.begin(f.alive)
	attempt.Store(t.Context(), idempotency.Answer{Status: http.StatusOK, Body: large})
	_, next := f.begin(f.alive)
	require.NotEqual(t, attempt.ID, next.ID)
	_, err := f.alive.Begin(t.Context(), caller(""), request)
	require.ErrorIs(t, err, idempotency.ErrInUse)
	next.Store(t.Context(), stored)
	begun, err := f.alive.Begin(t.Context(), caller(""), request)
	require.NoError(t, err)
	require.Equal(t, idempotency.Begun{Answer: &stored}, begun)
}

// Each part of a request is part of what the key stands for, and so is who sends it.
func TestRequest_isAnother(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.begin(f.alive)
	for name, change := range map[string]func(*idempotency.Request){
		"method": func(r *idempotency.Request) { r.Method = "PUT" },
		"path":   func(r *idempotency.Request) { r.Path += "/1" },
		"query":  func(r *idempotency.Request) { r.Query = map[string][]string{"a": {"b"}} },
		"body":   func(r *idempotency.Request) { r.Body = []byte(`{"a":2}`) },
		"parts":  func(r *idempotency.Request) { r.Method, r.Path = r.Method+r.Path[:1], r.Path[1:] },
	} {
		other := request
		change(&other)
		_, err := f.alive.Begin(t.Context(), caller(""), other)
		require.ErrorIs(t, err, idempotency.ErrReused, name)
	}
	for name, change := range map[string]func(*access.Caller){
		"namespace": func(by *access.Caller) { by.Namespace = "other" },
		"actor":     func(by *access.Caller) { by.Actor = "key:x" },
	} {
		by := caller("")
		change(&by)
		begun, err := f.alive.Begin(t.Context(), by, request)
		require.NoError(t, err, name)
		require.NotNil(t, begun.Attempt, name)
	}
	other := request
	other.Key = "other"
	begun, err := f.alive.Begin(t.Context(), caller(""), other)
	require.NoError(t, err)
	require.NotNil(t, begun.Attempt)
}

// An attempt that has changed nothing is forgotten. One that has is not served again.
func TestEnd(t *testing.T) {
	t.Parallel()
	f := setup(t)
	_, attempt := f.begin(f.alive)
	attempt.End(t.Context())
	require.Zero(t, f.Count(`select count(*) from idempotency_keys`))

	second, attempt := f.begin(f.alive)
	require.NoError(t, changes["CreateJob"](t, f, second, nil))
	attempt.End(t.Context())
	begun, err := f.alive.Begin(t.Context(), caller(""), request)
	require.NoError(t, err)
	require.Len(t, begun.Served.Entries, 1)
	require.Equal(t, "createJob", begun.Served.Entries[0].Operation)
	begun.Served.Store(t.Context(), stored)
	begun, err = f.alive.Begin(t.Context(), caller(""), request)
	require.NoError(t, err)
	require.Equal(t, &stored, begun.Answer)
	attempt.End(t.Context()) // it has an answer
	require.Equal(t, 1, f.Count(`select count(*) from idempotency_keys where status is not null`))
}

// An attempt at an instance that is alive counts as left when it takes longer than any may.
func TestBegin_takesTooLong(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.begin(f.alive)
	f.Exec(`update idempotency_keys set begun_at = begun_at - interval '89 seconds'`)
	_, err := f.alive.Begin(t.Context(), caller(""), request)
	require.ErrorIs(t, err, idempotency.ErrInUse)
	f.Exec(`update idempotency_keys set begun_at = begun_at - interval '1 second'`)
	f.begin(f.alive)
}

// A body that must not be stored, or is too large, is not. Others are compressed.
func TestStore_body(t *testing.T) {
	t.Parallel()
	random := make([]byte, 3<<20)
	_, _ = rand.Read(random)
	for name, c := range map[string]struct {
		body   []byte
		isKept bool
	}{
		"none": {nil, false}, "too large": {random, false}, "empty": {[]byte{}, true},
		"large": {bytes.Repeat([]byte(`{"name":"once"}`), 300_000), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			by, attempt := f.begin(f.alive)
			require.NoError(t, audit.Record(t.Context(), f.Queries, by, entry))
			answer := stored
			answer.Body = c.body
			attempt.Store(t.Context(), answer)
			require.Zero(t, f.Count(`select count(*) from idempotency_keys where octet_length(body) > 2 * 1024 * 1024`))
			begun, err := f.alive.Begin(t.Context(), caller(""), request)
			require.NoError(t, err)
			if c.isKept {
				require.Equal(t, &answer, begun.Answer)
				return
			}
			require.NotNil(t, begun.Served, "the answer is to be made of the audit")
		})
	}
}

// Neither the key nor the body is stored.
func TestBegin_storesDigests(t *testing.T) {
	t.Parallel()
	f := setup(t)
	secret := idempotency.Request{Key: "the-key", Method: "POST", Path: "/", Body: []byte("the-secret")}
	_, err := f.alive.Begin(t.Context(), caller(""), secret)
	require.NoError(t, err)
	require.Zero(t, f.Count(`select count(*) from idempotency_keys k where k::text ~ 'the-' or encode(k.key_digest, 'escape') ~ 'the-'
		or encode(k.request_digest, 'escape') ~ 'the-' or k.request_digest = sha256('the-secret')`))
}

// Requests that are not to be remembered any more are deleted, a bounded number at a time.
func TestDuty(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Exec(`insert into idempotency_keys (namespace, actor, key_digest, request_digest, request_id, instance_id, created_at)
		select 'default', 'a', sha256(n::text::bytea), sha256(''), '~' || n, gen_random_uuid(), now() - make_interval(hours => 23, secs => n)
		from generate_series(2101, 4700) as n`)
	duty := maintenance.Idempotency(f.Queries)
	for _, want := range []int64{1000, 101, 0} {
		got, err := duty.Pass(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, got.Count)
		require.Equal(t, want == 1000, got.Next > 0, "it goes on soon if some are left")
	}
	require.Equal(t, 1499, f.Count(`select count(*) from idempotency_keys`))
}

// The statements that do not wait for the disk leave the setting of their session as it was.
func TestBegin_leavesTheSession(t *testing.T) {
	t.Parallel()
	f := setup(t)
	config := f.Pool.Config()
	config.MaxConns = 1
	one, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(one.Close)
	_, err = one.Exec(t.Context(), `set synchronous_commit = on`)
	require.NoError(t, err)
	begun, err := idempotency.New(idempotency.Config{Pool: one}).Begin(t.Context(), caller(""), request)
	require.NoError(t, err)
	begun.Attempt.Store(t.Context(), stored)
	var setting string
	require.NoError(t, one.QueryRow(t.Context(), `show synchronous_commit`).Scan(&setting))
	require.Equal(t, "on", setting)
}
