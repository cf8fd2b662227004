package e2e

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/access"
	"punctual/internal/app"
	"punctual/internal/cells"
)

// The keys of a namespace that is in another cell are valid there and nowhere else, and what is
// asked for twice with an idempotency key is done once.
func TestCells_access(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, app.Config{})
	require.NoError(t, cells.Add(t.Context(), g.pool.Config().ConnString(), "second", discard))
	_, key := g.key(t, "")
	operator := g.as(t, key)
	once := &client.CreateNamespaceParams{IdempotencyKey: new("once")}
	var first *client.CreateNamespaceResponse
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		var err error
		first, err = operator.CreateNamespaceWithResponse(t.Context(), once, client.NamespaceCreate{Name: "team", Cell: new("second")})
		require.NoError(c, err)
		require.Equal(c, http.StatusCreated, first.StatusCode(), "%s", first.Body)
	}, 10*time.Second, 100*time.Millisecond)
	again, err := operator.CreateNamespaceWithResponse(t.Context(), once, client.NamespaceCreate{Name: "team", Cell: new("second")})
	require.NoError(t, err)
	require.Equal(t, string(first.Body), string(again.Body))
	_, err = g.pool.Exec(t.Context(), "update idempotency_keys set status = null, location = null, body = null, begun_at = later(begun_at, -interval '1 hour')")
	require.NoError(t, err)
	again, err = operator.CreateNamespaceWithResponse(t.Context(), once, client.NamespaceCreate{Name: "team", Cell: new("second")})
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, again.StatusCode(), "the answer is made of the audit: %s", again.Body)

	var made client.Key
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		created, err := operator.in(t, "team").CreateKeyWithResponse(t.Context(), &client.CreateKeyParams{IdempotencyKey: new("key")},
			client.KeyCreate{Description: "of the team", Scopes: []client.Scope{client.ScopeJobsRead, client.ScopeJobsWrite, client.ScopeAdmin}})
		require.NoError(c, err)
		require.Equal(c, http.StatusCreated, created.StatusCode(), "%s", created.Body)
		made = *created.JSON201
	}, 10*time.Second, 100*time.Millisecond, "the instance opens the cell")
	team := g.as(t, *made.Key)
	elsewhere := operator.create(t, `{"name":"of the default namespace","intervalInSeconds":3600}`)
	job := team.create(t, `{"name":"a","intervalInSeconds":3600,"publicBadge":true}`)
	got, err := team.GetJobWithResponse(t.Context(), elsewhere.Id)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, got.StatusCode())
	status, svg := g.badge(t, job.Id, nil)
	require.Equal(t, http.StatusOK, status.StatusCode, "everybody sees it, wherever it is: %s", svg)

	require.Equal(t, []string{"createJob", "createKey", "createNamespace"}, team.auditedOperations(t))

	scraped := g.scrape(t)
	require.NotContains(t, scraped, `punctual_database_read_success{read="due"} 0`)
	require.Contains(t, scraped, `pool="second.engine"`)

	refused, err := operator.DeleteNamespaceWithResponse(t.Context(), "team")
	require.NoError(t, err)
	require.Equal(t, http.StatusConflict, refused.StatusCode(), "it has a job: %s", refused.Body)
	deleted, err := team.DeleteJobWithResponse(t.Context(), job.Id, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, deleted.StatusCode())
	gone, err := operator.DeleteNamespaceWithResponse(t.Context(), "team")
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, gone.StatusCode(), "%s", gone.Body)
	require.Eventually(t, func() bool {
		answer, err := team.ListJobsWithResponse(t.Context(), nil)
		require.NoError(t, err)
		return answer.StatusCode() == http.StatusUnauthorized
	}, 10*time.Second, 50*time.Millisecond, "its key is revoked")

	// What is left of it goes when its jobs are gone.
	directory := cells.New(g.pool)
	purged, err := directory.PurgePlacements(t.Context())
	require.NoError(t, err)
	require.Zero(t, purged, "the deleted namespace is still there")
	_, err = g.pool.Exec(t.Context(), "with j as (delete from second.jobs) delete from second.namespaces")
	require.NoError(t, err)
	purged, err = directory.PurgePlacements(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, purged)
	require.Zero(t, count(t, g.pool, "select count(*) from keys where namespace = 'team'"))
	require.Zero(t, count(t, g.pool, "select count(*) from placements"))
}

// scrape returns the metrics.
func (g guarded) scrape(t *testing.T) string {
	t.Helper()
	_, key := g.key(t, "", access.MetricsRead)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.url+"/metrics", http.NoBody)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+key)
	got, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode)
	return string(body)
}
