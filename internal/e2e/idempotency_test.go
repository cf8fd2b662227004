package e2e

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/internal/app"
	"punctual/internal/testdb"
)

// keyedAnswer is what a client gets.
type keyedAnswer struct {
	status               int
	location, etag, body string
}

// post sends a request with an Idempotency-Key.
func (i instance) post(t *testing.T, path, key, body string) keyedAnswer {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, i.url+path, bytes.NewBufferString(body))
	require.NoError(t, err)
	maps.Copy(r.Header, i.header)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Idempotency-Key", key)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return keyedAnswer{resp.StatusCode, resp.Header.Get("Location"), resp.Header.Get("ETag"), string(got)}
}

const someJob = `{"name":"once","intervalInSeconds":3600}`

// Many repetitions at two instances, at the same time, create one job. All get the same answer, or
// are told to come back.
func TestIdempotencyKey_atTwoInstances(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	pool := connect(t, url)
	instances := []instance{
		start(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: url}}),
		start(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: url}}),
	}
	key := uuid.NewString()
	answers := make([]keyedAnswer, 60)
	var all sync.WaitGroup
	for n := range answers {
		all.Go(func() { answers[n] = instances[n%2].post(t, "/api/v1/jobs", key, someJob) })
	}
	all.Wait()
	first := instances[0].post(t, "/api/v1/jobs", key, someJob)
	require.Equal(t, http.StatusCreated, first.status, first.body)
	require.NotEmpty(t, first.location)
	require.NotEmpty(t, first.etag)
	for _, got := range answers {
		if got.status == http.StatusConflict {
			require.Contains(t, got.body, `"idempotency-key-in-use"`)
			continue
		}
		require.Equal(t, first, got)
	}
	require.Equal(t, 1, count(t, pool, `select count(*) from jobs`))
	require.Equal(t, 1, count(t, pool, `select count(*) from audit`))
}

// The same key with another request is refused, whatever differs.
func TestIdempotencyKey_reused(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	key := uuid.NewString()
	first := service.post(t, "/api/v1/jobs", key, someJob)
	require.Equal(t, http.StatusCreated, first.status)
	for path, body := range map[string]string{
		"/api/v1/jobs":          `{"name":"twice","intervalInSeconds":3600}`,
		first.location + "/run": "",
		"/api/v1/namespaces":    `{"name":"team"}`,
	} {
		got := service.post(t, path, key, body)
		require.Equal(t, http.StatusUnprocessableEntity, got.status, got.body)
		require.Contains(t, got.body, `"idempotency-key-reused"`)
	}
	require.Equal(t, first, service.post(t, "/api/v1/jobs", key, someJob))
	require.Equal(t, 1, count(t, pool, `select count(*) from jobs`))

	run := uuid.NewString()
	started := service.post(t, first.location+"/run", run, "")
	require.Equal(t, http.StatusAccepted, started.status, started.body)
	require.Equal(t, started, service.post(t, first.location+"/run", run, ""))
	require.Equal(t, http.StatusUnprocessableEntity, service.post(t, first.location+"/run?overlapPolicy=ALLOW_ALL", run, "").status)
	require.Equal(t, 1, count(t, pool, `select count(*) from audit where operation = 'runJob'`))
}

// A request without the header takes no key.
func TestIdempotencyKey_none(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	service.createJob(t, "plain", 3600, `1`)
	require.Zero(t, count(t, pool, `select count(*) from idempotency_keys`))
}
