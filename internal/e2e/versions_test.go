package e2e

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

// patchIf changes a job if it has a version that is named in an If-Match.
func (i instance) patchIf(t *testing.T, id uuid.UUID, ifMatch string, to client.JobUpdate) *client.UpdateJobResponse {
	t.Helper()
	got, err := i.UpdateJobWithResponse(t.Context(), id, &client.UpdateJobParams{IfMatch: &ifMatch}, to)
	require.NoError(t, err)
	return got
}

// What an If-Match names is compared with the version under the lock of the job.
func TestIfMatch(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	job := service.createJob(t, "first", 3600, `{}`).Id
	read, err := service.GetJobWithResponse(t.Context(), job)
	require.NoError(t, err)
	require.Equal(t, `"1"`, read.HTTPResponse.Header.Get("ETag"))

	done := service.patchIf(t, job, `"1"`, client.JobUpdate{Name: new("second")})
	require.Equal(t, http.StatusOK, done.StatusCode(), "%s", done.Body)
	require.Equal(t, `"2"`, done.HTTPResponse.Header.Get("ETag"))
	require.EqualValues(t, 2, done.JSON200.Version)

	for _, other := range []string{`"1"`, `W/"2"`, `"02"`, `"2x"`, `""`, `"1", "3"`, `"99999999999"`} {
		refused := service.patchIf(t, job, other, client.JobUpdate{Name: new("lost")})
		require.Equal(t, http.StatusPreconditionFailed, refused.StatusCode(), "%s: %s", other, refused.Body)
		require.Equal(t, `"2"`, refused.HTTPResponse.Header.Get("ETag"))
		require.Equal(t, "version-changed", refused.ApplicationproblemJSON412.Code)
		require.Contains(t, refused.ApplicationproblemJSON412.Detail, "version 2")
		deleted, err := service.DeleteJobWithResponse(t.Context(), job, &client.DeleteJobParams{IfMatch: &other})
		require.NoError(t, err)
		require.Equal(t, http.StatusPreconditionFailed, deleted.StatusCode())
	}
	for _, malformed := range []string{"2", `"2`, `"1" "2"`, `*, "2"`, `"2",`} {
		refused := service.patchIf(t, job, malformed, client.JobUpdate{Name: new("lost")})
		require.Equal(t, http.StatusBadRequest, refused.StatusCode(), "%s: %s", malformed, refused.Body)
		field := (*refused.ApplicationproblemJSON400.Errors)[0]
		require.Equal(t, client.FieldErrorInHeader, field.In)
		require.Equal(t, "If-Match", field.Field)
	}
	require.Equal(t, "second", service.getJob(t, job).Name)
	for _, same := range []string{`*`, `"1","2"`, `"7", W/"9" ,"2"`} {
		require.Equal(t, http.StatusOK, service.patchIf(t, job, same, client.JobUpdate{Name: new("second")}).StatusCode(), same)
	}
	deleted, err := service.DeleteJobWithResponse(t.Context(), job, &client.DeleteJobParams{IfMatch: new(`"2"`)})
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, deleted.StatusCode())
	gone := service.patchIf(t, job, `"2"`, client.JobUpdate{Name: new("lost")})
	require.Equal(t, http.StatusNotFound, gone.StatusCode())
}

// Of many who change one version, one does.
func TestIfMatchOfMany(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	job := service.createJob(t, "first", 3600, `{}`).Id
	const clients = 10
	statuses := make(chan int, clients)
	for range clients {
		go func() {
			tag := `"1"`
			got, err := service.UpdateJobWithResponse(t.Context(), job, &client.UpdateJobParams{IfMatch: &tag},
				client.JobUpdate{Name: new(uuid.NewString())})
			if err != nil {
				statuses <- 0
				return
			}
			statuses <- got.StatusCode()
		}()
	}
	counts := map[int]int{}
	for range clients {
		counts[<-statuses]++
	}
	require.Equal(t, map[int]int{http.StatusOK: 1, http.StatusPreconditionFailed: clients - 1}, counts)
}

// A version tells what has changed, by whom, and no secret.
func TestVersions(t *testing.T) {
	t.Parallel()
	service := start(t, app.Config{
		Role: app.RoleAPI, Database: app.DatabaseConfig{URL: testdb.New(t)}, SecretKeys: keyring(t, "a"),
	})
	const payload = `{"a": 1.50, "z":[1e3]}`
	job := service.create(t, `{"name":"x","cron":"0 9 * * *","payload":`+payload+`,"target":{"type":"http","url":"https://example.com",
		"secretHeaders":{"A":"hidden-1"}}}`).Id
	service.patch(t, job, `{"payload":{"b":2},"timeZone":"Europe/Berlin"}`)
	service.patch(t, job, `{"target":{"type":"http","url":"https://example.com","secretHeaders":{"A":"hidden-2"}}}`)
	service.patch(t, job, `{"target":{"type":"http","url":"https://example.com/b","secretHeaders":{"A":"hidden-2","B":"hidden-3"}}}`)
	service.patch(t, job, `{"status":"PAUSED","statusReason":"a pause"}`)
	now := service.getJob(t, job)

	listed, err := service.ListJobVersionsWithResponse(t.Context(), job, &client.ListJobVersionsParams{Limit: new(client.Limit(100))})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, listed.StatusCode(), "%s", listed.Body)
	require.NotContains(t, string(listed.Body), "hidden-")
	all := listed.JSON200.Items
	require.Len(t, all, 5)
	require.Equal(t, now, all[0].Job)
	require.Nil(t, all[4].Changes, "nothing was before the first")
	require.JSONEq(t, payload, string(all[4].Job.Payload))

	for i, want := range []string{
		`[{"field":"status","from":"ACTIVE","to":"PAUSED"},{"field":"statusReason","from":null,"to":"a pause"}]`,
		`[{"field":"target","from":{"expectStatus":[],"followRedirects":false,"headers":{},"method":"POST","type":"http","url":"https://example.com"},
			"to":{"expectStatus":[],"followRedirects":false,"headers":{},"method":"POST","type":"http","url":"https://example.com/b"}},
			{"field":"targetSecrets","from":["secretHeaders.A"],"to":["secretHeaders.A","secretHeaders.B"]}]`,
		`[{"field":"targetSecrets","from":["secretHeaders.A"],"to":["secretHeaders.A"]}]`,
		`[{"field":"payload","from":` + payload + `,"to":{"b":2}},{"field":"timeZone","from":"UTC","to":"Europe/Berlin"}]`,
	} {
		version := all[i]
		require.EqualValues(t, 5-i, version.Version)
		require.Equal(t, version.Version, version.Job.Version)
		require.Equal(t, "anonymous", version.UpdatedBy)
		require.Equal(t, version.UpdatedAt, version.Job.UpdatedAt)
		require.True(t, version.UpdatedAt.After(all[i+1].UpdatedAt))
		raw, err := json.Marshal(version.Changes)
		require.NoError(t, err)
		require.JSONEq(t, want, string(raw), "version %d", version.Version)
		one, err := service.GetJobVersionWithResponse(t.Context(), job, version.Version)
		require.NoError(t, err)
		require.Equal(t, version, *one.JSON200)
	}
	missing, err := service.GetJobVersionWithResponse(t.Context(), job, 6)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, missing.StatusCode())
	require.Equal(t, "version-not-found", missing.ApplicationproblemJSON404.Code)

	var paged []client.JobVersion
	for cursor := (*client.Cursor)(nil); len(paged) < 5; {
		page, err := service.ListJobVersionsWithResponse(t.Context(), job,
			&client.ListJobVersionsParams{Limit: new(client.Limit(2)), Cursor: cursor})
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, page.StatusCode(), "%s", page.Body)
		paged, cursor = append(paged, page.JSON200.Items...), page.JSON200.NextCursor
		require.Equal(t, len(paged) < 5, cursor != nil)
	}
	require.Equal(t, all, paged)
}

// The audit has who did what in which request, and what the service did.
func TestAudit(t *testing.T) {
	t.Parallel()
	service, db := setup(t)
	created, err := service.CreateJobWithResponse(t.Context(), nil, client.JobCreate{
		Name: "x", IntervalInSeconds: new(int64(60)), MaxRuns: new(int64(1)),
	})
	require.NoError(t, err)
	job := *created.JSON201
	service.updateJob(t, job.Id, client.JobUpdate{Name: new("y")})
	service.updateJob(t, job.Id, client.JobUpdate{Name: new("y")}) // which changes nothing
	refused, err := service.UpdateJobWithResponse(t.Context(), job.Id, nil, client.JobUpdate{Cron: new("x")})
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, refused.StatusCode())
	age(t, db, job.Id, 60e9)
	require.Equal(t, 1, service.pass(t))

	listed, err := service.ListAuditWithResponse(t.Context(), &client.ListAuditParams{})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, listed.StatusCode(), "%s", listed.Body)
	all := listed.JSON200.Items
	require.Len(t, all, 3)
	for i, want := range []client.AuditEntry{
		{Actor: "system", Operation: "completeJob", Result: client.AuditResult{Deleted: new(false)}},
		{Actor: "anonymous", Operation: "updateJob", Result: client.AuditResult{Version: new(int32(2)), Fields: &[]string{"name"}}},
		{Actor: "anonymous", Operation: "createJob", Result: client.AuditResult{Version: new(int32(1))}},
	} {
		got := all[i]
		want.Id, want.At, want.RequestId = got.Id, got.At, got.RequestId
		want.ResourceType, want.ResourceId = client.ResourceTypeJOB, job.Id.String()
		require.Equal(t, want, got)
		require.Equal(t, got.Actor == "system", got.RequestId == nil)
	}
	require.Equal(t, created.HTTPResponse.Header.Get("X-Request-Id"), *all[2].RequestId)
	require.WithinDuration(t, job.CreatedAt, all[2].At, 5e9)

	filtered, err := service.ListAuditWithResponse(t.Context(), &client.ListAuditParams{
		ResourceId: new(job.Id.String()), ResourceType: new(client.ResourceTypeJOB), Operation: new("updateJob"), Actor: new("anonymous"),
		From: &all[1].At, To: &all[1].At,
	})
	require.NoError(t, err)
	require.Equal(t, []client.AuditEntry{all[1]}, filtered.JSON200.Items)
	first, err := service.ListAuditWithResponse(t.Context(), &client.ListAuditParams{Limit: new(client.Limit(2))})
	require.NoError(t, err)
	rest, err := service.ListAuditWithResponse(t.Context(), &client.ListAuditParams{Cursor: first.JSON200.NextCursor})
	require.NoError(t, err)
	require.Equal(t, all, append(first.JSON200.Items, rest.JSON200.Items...))
	require.Nil(t, rest.JSON200.NextCursor)

	run := service.listRuns(t, job.Id)[0]
	require.EqualValues(t, 2, *run.JobVersion)
	require.NotContains(t, string(listed.Body), "nextCursor")
}
