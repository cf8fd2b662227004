package e2e

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/keys"
)

// in returns the service as a caller sees it who names a namespace.
func (i instance) in(t *testing.T, namespace string) instance {
	t.Helper()
	return i.with(t, http.Header{"Punctual-Namespace": {namespace}})
}

// with returns the service as the same caller sees it whose requests have these headers as well.
func (i instance) with(t *testing.T, more http.Header) instance {
	t.Helper()
	header := http.Header{}
	maps.Copy(header, i.header)
	maps.Copy(header, more)
	caller, err := client.NewClientWithResponses(i.url, client.WithRequestEditorFn(note),
		client.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			maps.Copy(r.Header, header)
			return nil
		}))
	require.NoError(t, err)
	i.ClientWithResponses, i.header = caller, header
	return i
}

// twoNamespaces starts a service that polls only when told to, and returns it as the owners of the
// keys of two namespaces see it.
func twoNamespaces(t *testing.T) (blue, red instance, pool *pgxpool.Pool) {
	t.Helper()
	service, pool := setupWithKeys(t)
	callers := map[string]instance{}
	for _, name := range []string{"blue", "red"} {
		makeNamespace(t, pool, name)
		_, key := makeKey(t, pool, name, keys.Request{})
		callers[name] = service.as(t, key)
	}
	return callers["blue"], callers["red"], pool
}

// makeNamespace makes a namespace straight in the database.
func makeNamespace(t *testing.T, db *pgxpool.Pool, name string) {
	t.Helper()
	_, err := db.Exec(t.Context(), `insert into namespaces (name, description) values ($1, 'of a test')`, name)
	require.NoError(t, err)
}

// jobsPage lists jobs.
func (i instance) jobsPage(t *testing.T, p client.ListJobsParams) client.JobPage {
	t.Helper()
	got, err := i.ListJobsWithResponse(t.Context(), &p)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), "listed: %s", got.Body)
	return *got.JSON200
}

func idsOfJobs(jobs []client.Job) (ids []uuid.UUID) {
	for i := range jobs {
		ids = append(ids, jobs[i].Id)
	}
	return ids
}

func idsOfRuns(runs []client.Run) (ids []uuid.UUID) {
	for i := range runs {
		ids = append(ids, runs[i].Id)
	}
	return ids
}

// shownOf returns which of some ids are in a text.
func shownOf(ids []string, text string) (shown []string) {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !strings.Contains(text, id) })
}
