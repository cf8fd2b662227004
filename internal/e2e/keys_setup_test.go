package e2e

import (
	"cmp"
	"net/http"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/access"
	"punctual/internal/app"
	"punctual/internal/keys"
	"punctual/internal/testdb"
)

// setupWithKeys is setup for a service that everybody needs a key for.
func setupWithKeys(t *testing.T) (instance, *pgxpool.Pool) {
	t.Helper()
	url := testdb.New(t)
	return startWithKeys(t, url), connect(t, url)
}

// startWithKeys runs an instance on a database that everybody needs a key for.
func startWithKeys(t *testing.T, url string) instance {
	t.Helper()
	return start(t, app.Config{Role: app.RoleAPI, Auth: app.AuthRequired, Database: app.DatabaseConfig{URL: url}})
}

// makeKey makes a key straight in the database, as the command line does, and returns it in the
// clear.
func makeKey(t *testing.T, db *pgxpool.Pool, namespace string, what keys.Request) (id, key string) {
	t.Helper()
	what.Description = cmp.Or(what.Description, "of a test")
	if what.Scopes == nil {
		what.Scopes = access.Scopes
	}
	view, plain, err := keys.New(keys.Config{Pool: db}).Create(t.Context(), access.Command(namespace), what)
	require.NoError(t, err)
	return view.ID, plain.Reveal()
}

// as returns the instance as the owner of a key sees it.
func (i instance) as(t *testing.T, key string) instance {
	t.Helper()
	return i.with(t, http.Header{"Authorization": {"Bearer " + key}})
}

// createKey creates a key over the API, with all scopes unless some are given.
func (i instance) createKey(t *testing.T, what client.KeyCreate) client.Key {
	t.Helper()
	what.Description = cmp.Or(what.Description, "of a test")
	if what.Scopes == nil {
		what.Scopes = client.Scopes{client.ScopeAdmin, client.ScopeJobsRead, client.ScopeJobsWrite, client.ScopeRunsWrite, client.ScopeWorkers}
	}
	created, err := i.CreateKeyWithResponse(t.Context(), nil, what)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, created.StatusCode(), "created: %s", created.Body)
	require.Equal(t, "/api/v1/keys/"+created.JSON201.Id, created.HTTPResponse.Header.Get("Location"))
	require.NotNil(t, created.JSON201.Key)
	return *created.JSON201
}
