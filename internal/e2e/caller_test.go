package e2e

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/access"
	"punctual/internal/app"
)

// A caller is told who it is taken for, and what it may do.
func TestCaller(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, app.Config{}, "team")
	id, key := g.key(t, "team", access.JobsRead)
	got, err := g.as(t, key).GetCallerWithResponse(t.Context())
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), "%s", got.Body)
	require.Equal(t, "team", got.JSON200.Namespace)
	require.Contains(t, got.JSON200.Actor, id)
	require.Equal(t, []client.Scope{client.ScopeJobsRead}, got.JSON200.Scopes)
	require.False(t, got.JSON200.IsServiceWide)
	require.Nil(t, got.JSON200.Queues)
	unknown, err := g.GetCallerWithResponse(t.Context())
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, unknown.StatusCode(), "who has no key is nobody")
}
