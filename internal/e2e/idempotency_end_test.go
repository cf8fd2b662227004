package e2e

import (
	"bytes"
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/internal/access"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

// holdJobs makes each creation of a job wait until the returned function is called.
func holdJobs(t *testing.T, pool *pgxpool.Pool) (letGo func()) {
	t.Helper()
	conn, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	for _, sql := range []string{
		`create function wait_for_the_test() returns trigger language plpgsql as
			$$ begin perform pg_advisory_xact_lock(4711); return new; end $$`,
		`create trigger wait_for_the_test before insert on jobs for each row execute function wait_for_the_test()`,
		`select pg_advisory_lock(4711)`,
	} {
		_, err = conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	return func() {
		_, err := conn.Exec(t.Context(), `select pg_advisory_unlock(4711)`)
		require.NoError(t, err)
		conn.Release()
	}
}

func awaitHeld(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	require.Eventually(t, func() bool {
		return count(t, pool, `select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'advisory'`) > 0
	}, 10*time.Second, 5*time.Millisecond, "a creation waits")
}

// A client that leaves before it gets the answer finds it when it comes back.
func TestIdempotencyKey_clientLeaves(t *testing.T) {
	t.Parallel()
	testdb.NotOnCitus(t, "it has no triggers")
	service, pool := setup(t)
	letGo := holdJobs(t, pool)
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, service.url+"/api/v1/jobs", bytes.NewBufferString(someJob))
	require.NoError(t, err)
	key := uuid.NewString()
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", key)
	left := make(chan error, 1)
	go func() {
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			err = resp.Body.Close()
		}
		left <- err
	}()
	awaitHeld(t, pool)
	require.Equal(t, http.StatusConflict, service.post(t, "/api/v1/jobs", key, someJob).status, "it is being served")
	leave()
	require.ErrorIs(t, <-left, context.Canceled)
	letGo()
	var again keyedAnswer
	require.Eventually(t, func() bool {
		again = service.post(t, "/api/v1/jobs", key, someJob)
		return again.status != http.StatusConflict
	}, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, http.StatusCreated, again.status, again.body)
	require.Equal(t, 1, count(t, pool, `select count(*) from jobs`))
	require.Equal(t, 1, count(t, pool, `select count(*) from idempotency_keys where begun_at = created_at and status = 201`))
}

// After a failure the key is free at once.
func TestIdempotencyKey_failure(t *testing.T) {
	t.Parallel()
	testdb.NotOnCitus(t, "it has no triggers")
	url := testdb.New(t)
	pool := connect(t, url)
	service := start(t, app.Config{
		Role: app.RoleAPI, Database: app.DatabaseConfig{URL: url}, APIStatementTimeout: 300 * time.Millisecond,
	})
	letGo := holdJobs(t, pool)
	key := uuid.NewString()
	require.Equal(t, http.StatusServiceUnavailable, service.post(t, "/api/v1/jobs", key, someJob).status)
	letGo()
	require.Zero(t, count(t, pool, `select count(*) from idempotency_keys`))
	require.Equal(t, http.StatusCreated, service.post(t, "/api/v1/jobs", key, someJob).status)
	require.Equal(t, 1, count(t, pool, `select count(*) from jobs`))
}

// What is refused because of what it asks for is remembered, as long as that could change. What is
// refused for another reason is not.
func TestIdempotencyKey_refusals(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	key := uuid.NewString()
	nobodys := "/api/v1/jobs/" + uuid.NewString() + "/run"
	refused := service.post(t, nobodys, key, "")
	require.Equal(t, http.StatusNotFound, refused.status)
	require.Equal(t, refused, service.post(t, nobodys, key, ""))
	invalid := service.post(t, "/api/v1/jobs", uuid.NewString(), `{"name":"none"}`)
	require.Equal(t, http.StatusBadRequest, invalid.status)
	require.Equal(t, http.StatusBadRequest, service.post(t, "/api/v1/jobs", "a b", someJob).status, "a key has no spaces")
	require.Equal(t, http.StatusBadRequest, service.post(t, "/api/v1/jobs", string(bytes.Repeat([]byte{'k'}, 256)), someJob).status)
	require.Zero(t, count(t, pool, `select count(*) from jobs`))
}

// A day later a key may be of another request.
func TestIdempotencyKey_aDayLater(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	key := uuid.NewString()
	first := service.post(t, "/api/v1/jobs", key, someJob)
	require.Equal(t, first, service.post(t, "/api/v1/jobs", key, someJob))
	_, err := pool.Exec(t.Context(), `update idempotency_keys set created_at = later(created_at, -interval '24 hours')`)
	require.NoError(t, err)
	second := service.post(t, "/api/v1/jobs", key, someJob)
	require.Equal(t, http.StatusCreated, second.status)
	require.NotEqual(t, first.location, second.location)
	require.Equal(t, second, service.post(t, "/api/v1/jobs", key, someJob))
}

// Callers and namespaces have keys of their own, and an answer is given to nobody who may not have
// it.
func TestIdempotencyKey_ofCallersAndNamespaces(t *testing.T) {
	t.Parallel()
	service := newGuarded(t, app.Config{}, "blue")
	_, one := service.key(t, "default", access.JobsWrite)
	_, other := service.key(t, "default", access.JobsWrite)
	_, blue := service.key(t, "blue", access.JobsWrite)
	id, operator := service.key(t, "", access.JobsWrite)
	locations := map[string]bool{}
	send := func(key, namespace string) keyedAnswer {
		t.Helper()
		caller := service.instance
		caller.header = http.Header{"Authorization": {"Bearer " + key}}
		if namespace != "" {
			caller.header.Set("Punctual-Namespace", namespace)
		}
		return caller.post(t, "/api/v1/jobs", "the-same", someJob)
	}
	for _, by := range [][2]string{{one}, {other}, {blue}, {operator, "blue"}, {operator}} {
		got := send(by[0], by[1])
		require.Equal(t, http.StatusCreated, got.status, got.body)
		require.False(t, locations[got.location], "each creates its own job")
		locations[got.location] = true
		require.Equal(t, got, send(by[0], by[1]))
	}
	_, err := service.pool.Exec(t.Context(), `update keys set scopes = '{jobs:read}' where id = $1`, id)
	require.NoError(t, err)
	_, err = service.pool.Exec(t.Context(), `notify punctual_access`)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return send(operator, "").status == http.StatusForbidden }, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, 5, count(t, service.pool, `select count(*) from jobs`))
}

// What a namespace's requests were answered goes with it.
func TestIdempotencyKey_deletedNamespace(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	team := service.in(t, "team")
	require.Equal(t, http.StatusCreated, service.post(t, "/api/v1/namespaces", uuid.NewString(), `{"name":"team"}`).status)
	team.header = http.Header{"Punctual-Namespace": {"team"}}
	require.Equal(t, http.StatusNotFound, team.post(t, "/api/v1/jobs/"+uuid.NewString()+"/run", "key", "").status)
	require.Equal(t, 2, count(t, pool, `select count(*) from idempotency_keys`))
	deleted, err := service.DeleteNamespaceWithResponse(t.Context(), "team")
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, deleted.StatusCode())
	require.Equal(t, 1, count(t, pool, `select count(*) from idempotency_keys where namespace = 'default'`))
	require.Zero(t, count(t, pool, `select count(*) from idempotency_keys where namespace = 'team'`))
}
