package e2e

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// What happened in a namespace stays in it.
func TestWallsOfHistory(t *testing.T) {
	t.Parallel()
	t.Run("versions and their cursors", func(t *testing.T) {
		t.Parallel()
		blue, red, _ := twoNamespaces(t)
		limit := client.Limit(1)
		versions := func(caller instance, job uuid.UUID, cursor *client.Cursor) *client.ListJobVersionsResponse {
			got, err := caller.ListJobVersionsWithResponse(t.Context(), job, &client.ListJobVersionsParams{Limit: &limit, Cursor: cursor})
			require.NoError(t, err)
			return got
		}
		made := map[string]uuid.UUID{}
		for name, caller := range map[string]instance{"blue": blue, "red": red} {
			made[name] = caller.createJob(t, "report", 3600, `"first of `+name+`"`).Id
			for _, to := range []string{"second", "third"} {
				caller.updateJob(t, made[name], client.JobUpdate{Name: new(to + " of " + name)})
			}
		}
		first := versions(blue, made["blue"], nil)
		require.NotNil(t, first.JSON200.NextCursor)
		across := versions(red, made["red"], first.JSON200.NextCursor)
		require.Equal(t, http.StatusOK, across.StatusCode())
		require.Equal(t, "second of red", across.JSON200.Items[0].Job.Name, "it is only a place in a list")
		require.Equal(t, http.StatusNotFound, versions(red, made["blue"], nil).StatusCode())
		require.Equal(t, http.StatusNotFound, versions(red, made["blue"], first.JSON200.NextCursor).StatusCode())
		for number := range int32(4) {
			got, err := red.GetJobVersionWithResponse(t.Context(), made["blue"], number+1)
			require.NoError(t, err)
			require.Equal(t, http.StatusNotFound, got.StatusCode())
		}
	})
	t.Run("the audit and its cursors", func(t *testing.T) {
		t.Parallel()
		blue, red, _ := twoNamespaces(t)
		of := map[string]string{} // the job by its id
		for range 3 {
			of[blue.createJob(t, "report", 3600, `1`).Id.String()] = "blue"
			of[red.createJob(t, "report", 3600, `1`).Id.String()] = "red"
		}
		audit := func(caller instance, p client.ListAuditParams) client.AuditPage {
			got, err := caller.ListAuditWithResponse(t.Context(), &p)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, got.StatusCode(), "%s", got.Body)
			return *got.JSON200
		}
		created := client.AuditedOperation("createJob")
		limit := client.Limit(1)
		for cursor := (*client.Cursor)(nil); ; {
			page := audit(blue, client.ListAuditParams{Operation: &created, Limit: &limit, Cursor: cursor})
			require.Equal(t, "blue", of[page.Items[0].ResourceId])
			for _, entry := range audit(red, client.ListAuditParams{Operation: &created, Cursor: page.NextCursor}).Items {
				require.Equal(t, "red", of[entry.ResourceId], "wherever in the list it begins")
			}
			if cursor = page.NextCursor; cursor == nil {
				break
			}
		}
		require.Len(t, audit(red, client.ListAuditParams{Operation: &created}).Items, 3)

		// What one does to the other's job is refused, and nothing happened there.
		for id, owner := range of {
			if owner == "blue" {
				require.Equal(t, http.StatusNotFound, red.patch(t, uuid.MustParse(id), `{"name":"mine"}`).StatusCode())
			}
		}
		require.Empty(t, audit(blue, client.ListAuditParams{Operation: new(client.AuditedOperation("updateJob"))}).Items)
		require.Empty(t, audit(red, client.ListAuditParams{Operation: new(client.AuditedOperation("updateJob"))}).Items)
	})
	t.Run("a condition is no way to learn of another's job", func(t *testing.T) {
		t.Parallel()
		blue, red, _ := twoNamespaces(t)
		job := blue.createJob(t, "report", 3600, `1`).Id
		for _, id := range []uuid.UUID{job, uuid.Must(uuid.NewV7())} {
			for _, tag := range []string{`"1"`, `"2"`, `*`} {
				status, body := red.with(t, http.Header{"If-Match": {tag}}).raw(t, "DELETE", "/api/v1/jobs/"+id.String(), "")
				require.Equal(t, http.StatusNotFound, status, "%s", body)
			}
		}
		require.Equal(t, job, blue.getJob(t, job).Id)
	})
}
