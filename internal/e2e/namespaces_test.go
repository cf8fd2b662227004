package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/access"
	"punctual/internal/app"
	"punctual/internal/keys"
	"punctual/internal/testdb"
)

// namespace creates a namespace, with a name of its own unless one is given.
func (i instance) namespace(t *testing.T, c client.NamespaceCreate) client.Namespace {
	t.Helper()
	if c.Name == "" {
		c.Name = "n-" + uuid.NewString()
	}
	created, err := i.CreateNamespaceWithResponse(t.Context(), nil, c)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, created.StatusCode(), "created: %s", created.Body)
	require.Equal(t, "/api/v1/namespaces/"+c.Name, created.HTTPResponse.Header.Get("Location"))
	return *created.JSON201
}

// updateNamespace changes a namespace and returns it.
func (i instance) updateNamespace(t *testing.T, name string, change client.NamespaceUpdate) client.Namespace {
	t.Helper()
	got, err := i.UpdateNamespaceWithResponse(t.Context(), name, change)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), "updated: %s", got.Body)
	return *got.JSON200
}

// createIn creates a job in a namespace and returns the answer.
func (i instance) createIn(t *testing.T, namespace, name string) *client.CreateJobResponse {
	t.Helper()
	created, err := i.in(t, namespace).CreateJobWithResponse(t.Context(), nil, client.JobCreate{Name: name, IntervalInSeconds: new(int64(3600))})
	require.NoError(t, err)
	return created
}

// requireCode checks the status and the code of a refusal, and returns its detail.
func requireCode(t *testing.T, status int, code string, answer *http.Response, problem *client.Problem) string {
	t.Helper()
	require.Equal(t, status, answer.StatusCode)
	require.NotNil(t, problem)
	require.Equal(t, code, problem.Code)
	return problem.Detail
}

func TestNamespaces(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	made := service.namespace(t, client.NamespaceCreate{Name: "team-a", Description: new("Team A"), MaxJobs: new(int32(5)), RunRetentionDays: new(int32(3))})
	require.Equal(t, "Team A", made.Description)
	require.EqualValues(t, 5, *made.MaxJobs)
	require.Nil(t, made.RequestsPerSecond)
	require.False(t, made.Suspended)

	t.Run("one name is one namespace", func(t *testing.T) {
		again, err := service.CreateNamespaceWithResponse(t.Context(), nil, client.NamespaceCreate{Name: "team-a"})
		require.NoError(t, err)
		requireCode(t, http.StatusConflict, "namespace-exists", again.HTTPResponse, again.ApplicationproblemJSON409)
	})
	t.Run("a job is in one of them", func(t *testing.T) {
		job := service.createIn(t, "team-a", "mine")
		require.Equal(t, http.StatusCreated, job.StatusCode(), "%s", job.Body)
		got, err := service.in(t, "team-a").GetJobWithResponse(t.Context(), job.JSON201.Id)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, got.StatusCode())
		got, err = service.GetJobWithResponse(t.Context(), job.JSON201.Id)
		require.NoError(t, err)
		requireCode(t, http.StatusNotFound, "job-not-found", got.HTTPResponse, got.ApplicationproblemJSON404)
	})
	t.Run("what is not one does not exist", func(t *testing.T) {
		for _, name := range []string{"team-b", "Team-A", "team-a/x", strings.Repeat("a", 64), "-"} {
			got, err := service.in(t, name).GetJobWithResponse(t.Context(), uuid.New())
			require.NoError(t, err)
			requireCode(t, http.StatusNotFound, "namespace-not-found", got.HTTPResponse, got.ApplicationproblemJSON404)
		}
		live, err := service.in(t, "team-b").GetLivenessWithResponse(t.Context())
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, live.StatusCode(), "a probe is in no namespace")
	})
	t.Run("only what is given changes", func(t *testing.T) {
		changed := service.updateNamespace(t, "team-a", client.NamespaceUpdate{MinIntervalSeconds: new(int32(60))})
		require.EqualValues(t, 5, *changed.MaxJobs)
		require.EqualValues(t, 60, *changed.MinIntervalSeconds)
		response, err := service.UpdateNamespaceWithBodyWithResponse(t.Context(), "team-a", "application/json", strings.NewReader(`{"maxJobs":null}`))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, response.StatusCode(), "%s", response.Body)
		require.Nil(t, response.JSON200.MaxJobs)
		require.EqualValues(t, 60, *response.JSON200.MinIntervalSeconds)
		require.Equal(t, "Team A", response.JSON200.Description)
		got, err := service.GetNamespaceWithResponse(t.Context(), "team-a")
		require.NoError(t, err)
		require.Equal(t, response.JSON200, got.JSON200)
	})
	t.Run("the list is by name, in pages", func(t *testing.T) {
		service.namespace(t, client.NamespaceCreate{Name: "team-b"})
		service.namespace(t, client.NamespaceCreate{Name: "a-first"})
		var names []string
		params := client.ListNamespacesParams{Limit: new(client.Limit(3))}
		for pages := 1; ; pages++ {
			page, err := service.ListNamespacesWithResponse(t.Context(), &params)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, page.StatusCode(), "%s", page.Body)
			for _, n := range page.JSON200.Items {
				names = append(names, n.Name)
			}
			if params.Cursor = page.JSON200.NextCursor; params.Cursor == nil {
				require.Equal(t, 2, pages)
				break
			}
		}
		require.Equal(t, []string{"a-first", "default", "team-a", "team-b"}, names)
	})
	t.Run("one with jobs is not deleted, nor the default one", func(t *testing.T) {
		full, err := service.DeleteNamespaceWithResponse(t.Context(), "team-a")
		require.NoError(t, err)
		requireCode(t, http.StatusConflict, "namespace-not-empty", full.HTTPResponse, full.ApplicationproblemJSON409)
		full, err = service.DeleteNamespaceWithResponse(t.Context(), "default")
		require.NoError(t, err)
		requireCode(t, http.StatusConflict, "namespace-is-default", full.HTTPResponse, full.ApplicationproblemJSON409)
	})
	t.Run("a deleted one is gone, and its name taken for a while", func(t *testing.T) {
		_, err := pool.Exec(t.Context(), `insert into keys (id, namespace, secret_sha256, description, scopes, created_by)
			values ('gone', 'team-b', sha256('x'), '', '{}', 'test'), ('stays', 'team-a', sha256('x'), '', '{}', 'test')`)
		require.NoError(t, err)
		gone, err := service.DeleteNamespaceWithResponse(t.Context(), "team-b")
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, gone.StatusCode(), "%s", gone.Body)
		got, err := service.GetNamespaceWithResponse(t.Context(), "team-b")
		require.NoError(t, err)
		requireCode(t, http.StatusNotFound, "namespace-not-found", got.HTTPResponse, got.ApplicationproblemJSON404)
		again, err := service.CreateNamespaceWithResponse(t.Context(), nil, client.NamespaceCreate{Name: "team-b"})
		require.NoError(t, err)
		require.Contains(t, requireCode(t, http.StatusConflict, "namespace-exists", again.HTTPResponse, again.ApplicationproblemJSON409), "deleted")
		var revoked []string
		require.NoError(t, pool.QueryRow(t.Context(), "select array_agg(id) from keys where revoked_at is not null").Scan(&revoked))
		require.Equal(t, []string{"gone"}, revoked)
	})
	t.Run("each change is in the audit of its namespace", func(t *testing.T) {
		var all []string
		require.NoError(t, pool.QueryRow(t.Context(), `
			select array_agg(operation || ' ' || resource_type || ' ' || resource_id || ' ' || result order by at) from audit
			where namespace = 'team-a' and actor = 'anonymous' and request_id is not null`).Scan(&all))
		require.Subset(t, all, []string{
			`createNamespace NAMESPACE team-a {"fields":["description","maxJobs","name","runRetentionDays"]}`,
			`updateNamespace NAMESPACE team-a {"fields":["minIntervalSeconds"]}`,
			`updateNamespace NAMESPACE team-a {"fields":["maxJobs"]}`,
		})
	})
	t.Run("runs are not kept longer than the service keeps them", func(t *testing.T) {
		t.Parallel()
		short := start(t, app.Config{Role: app.RoleAPI, RunRetentionDays: 7, Database: app.DatabaseConfig{URL: testdb.New(t)}})
		refused, err := short.CreateNamespaceWithResponse(t.Context(), nil, client.NamespaceCreate{Name: "long", RunRetentionDays: new(int32(8))})
		require.NoError(t, err)
		requireCode(t, http.StatusBadRequest, "invalid-request", refused.HTTPResponse, refused.ApplicationproblemJSON400)
		require.Equal(t, "runRetentionDays", (*refused.ApplicationproblemJSON400.Errors)[0].Field)
		short.namespace(t, client.NamespaceCreate{Name: "long", RunRetentionDays: new(int32(7))})
	})
}

// Another instance hears of a change at once, so that nobody acts on what a namespace was.
func TestNamespacesOnTwoInstances(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	one := start(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: url}})
	other := start(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: url}})
	one.namespace(t, client.NamespaceCreate{Name: "team"})
	require.Equal(t, http.StatusOK, status(t, other, "team"))
	gone, err := one.DeleteNamespaceWithResponse(t.Context(), "team")
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, gone.StatusCode())
	require.EventuallyWithT(t, func(c *assertCollect) {
		require.Equal(c, http.StatusNotFound, status(t, other, "team"))
	}, 10*time.Second, 10*time.Millisecond)
}

// status returns the status of a list of the jobs of a namespace.
func status(t *testing.T, i instance, namespace string) int {
	t.Helper()
	got, err := i.in(t, namespace).ListJobsWithResponse(t.Context(), nil)
	require.NoError(t, err)
	return got.StatusCode()
}

func TestLimitsOfANamespace(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	service.namespace(t, client.NamespaceCreate{Name: "small", MaxJobs: new(int32(1)), MinIntervalSeconds: new(int32(600))})
	small := service.in(t, "small")
	fast, err := small.CreateJobWithResponse(t.Context(), nil, client.JobCreate{Name: "fast", IntervalInSeconds: new(int64(599))})
	require.NoError(t, err)
	requireCode(t, http.StatusBadRequest, "invalid-request", fast.HTTPResponse, fast.ApplicationproblemJSON400)
	require.Equal(t, "intervalInSeconds", (*fast.ApplicationproblemJSON400.Errors)[0].Field)
	require.Equal(t, "too-small", (*fast.ApplicationproblemJSON400.Errors)[0].Code)
	cron, err := small.CreateJobWithResponse(t.Context(), nil, client.JobCreate{Name: "fast", Cron: new("*/5 * * * *")})
	require.NoError(t, err)
	requireCode(t, http.StatusBadRequest, "invalid-request", cron.HTTPResponse, cron.ApplicationproblemJSON400)
	require.Equal(t, "cron", (*cron.ApplicationproblemJSON400.Errors)[0].Field)

	require.Equal(t, http.StatusCreated, service.createIn(t, "small", "first").StatusCode())
	full := service.createIn(t, "small", "second")
	detail := requireCode(t, http.StatusConflict, "too-many-jobs", full.HTTPResponse, full.ApplicationproblemJSON409)
	require.Contains(t, detail, "1 jobs (maxJobs)")
	require.Equal(t, http.StatusCreated, service.createIn(t, "default", "second").StatusCode(), "it is no limit of others")
	service.updateNamespace(t, "small", client.NamespaceUpdate{MaxJobs: new(int32(2))})
	require.EventuallyWithT(t, func(c *assertCollect) {
		require.Equal(c, http.StatusCreated, service.createIn(t, "small", "second").StatusCode())
	}, 10*time.Second, 10*time.Millisecond)
}

// A suspended namespace pauses on the instances that poll, and goes on as it was.
func TestSuspendedNamespace(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	service := start(t, app.Config{Database: app.DatabaseConfig{URL: url}})
	service.namespace(t, client.NamespaceCreate{Name: "team"})
	team := service.in(t, "team")
	job := service.createIn(t, "team", "runs").JSON201
	require.NotNil(t, job)
	becomes := func(status client.JobStatus) {
		t.Helper()
		// Far sooner than the next look of the duty: it is woken.
		require.EventuallyWithT(t, func(c *assertCollect) {
			got, err := team.GetJobWithResponse(t.Context(), job.Id)
			require.NoError(c, err)
			require.Equal(c, status, got.JSON200.Status)
		}, 4*time.Second, 10*time.Millisecond)
	}

	suspended := service.updateNamespace(t, "team", client.NamespaceUpdate{Suspended: new(true)})
	require.True(t, suspended.Suspended)
	require.NotNil(t, suspended.SuspendedAt)
	becomes(client.JobStatusPAUSED)
	require.EventuallyWithT(t, func(c *assertCollect) {
		refused := service.createIn(t, "team", "new")
		require.Equal(c, http.StatusConflict, refused.StatusCode())
		require.Equal(c, "namespace-suspended", refused.ApplicationproblemJSON409.Code)
	}, 10*time.Second, 10*time.Millisecond)
	run, err := team.RunJobWithResponse(t.Context(), job.Id, nil, client.RunStart{})
	require.NoError(t, err)
	requireCode(t, http.StatusConflict, "namespace-suspended", run.HTTPResponse, run.ApplicationproblemJSON409)
	filled, err := team.BackfillJobWithResponse(t.Context(), job.Id, nil, client.BackfillWindow{From: time.Now().Add(-time.Hour), To: time.Now()})
	require.NoError(t, err)
	requireCode(t, http.StatusConflict, "namespace-suspended", filled.HTTPResponse, filled.ApplicationproblemJSON409)
	resumed, err := team.UpdateJobWithResponse(t.Context(), job.Id, nil, client.JobUpdate{Status: new(client.JobUpdateStatusACTIVE)})
	require.NoError(t, err)
	requireCode(t, http.StatusConflict, "namespace-suspended", resumed.HTTPResponse, resumed.ApplicationproblemJSON409)

	require.Nil(t, service.updateNamespace(t, "team", client.NamespaceUpdate{Suspended: new(false)}).SuspendedAt)
	becomes(client.JobStatusACTIVE)
}

// Who is bound to a namespace sees that one only, and changes none, not even its own.
func TestNamespacesOfABoundAdmin(t *testing.T) {
	t.Parallel()
	service, pool := setupWithKeys(t)
	_, all := makeKey(t, pool, "default", keys.Request{Scopes: []access.Scope{access.Admin}, IsServiceWide: true})
	for _, name := range []string{"team", "other"} {
		service.as(t, all).namespace(t, client.NamespaceCreate{Name: name})
	}
	_, bound := makeKey(t, pool, "team", keys.Request{Scopes: []access.Scope{access.Admin}})
	admin := service.as(t, bound)
	own, err := admin.GetNamespaceWithResponse(t.Context(), "team")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, own.StatusCode(), "%s", own.Body)
	for _, name := range []string{"other", "default", "nobody"} {
		others, err := admin.GetNamespaceWithResponse(t.Context(), name)
		require.NoError(t, err)
		requireCode(t, http.StatusNotFound, "namespace-not-found", others.HTTPResponse, others.ApplicationproblemJSON404)
	}
	list, err := admin.ListNamespacesWithResponse(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, []client.Namespace{*own.JSON200}, list.JSON200.Items)
	changed, err := admin.UpdateNamespaceWithResponse(t.Context(), "team", client.NamespaceUpdate{MaxJobs: new(int32(1))})
	require.NoError(t, err)
	requireCode(t, http.StatusForbidden, "service-wide-required", changed.HTTPResponse, changed.ApplicationproblemJSON403)
	made, err := admin.CreateNamespaceWithResponse(t.Context(), nil, client.NamespaceCreate{Name: "mine"})
	require.NoError(t, err)
	requireCode(t, http.StatusForbidden, "service-wide-required", made.HTTPResponse, made.ApplicationproblemJSON403)
	gone, err := admin.DeleteNamespaceWithResponse(t.Context(), "team")
	require.NoError(t, err)
	requireCode(t, http.StatusForbidden, "service-wide-required", gone.HTTPResponse, gone.ApplicationproblemJSON403)
}
