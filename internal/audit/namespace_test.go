package audit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/audit"
)

// Who is bound to a namespace sees nothing of one that had its name before.
func TestListOfANewNamespace(t *testing.T) {
	t.Parallel()
	pool := fill(t)
	_, err := pool.Exec(t.Context(), `insert into namespaces (name, description, created_at)
		select namespace, '', at from audit where namespace = 'other' and resource_id = 'thing-5'`)
	require.NoError(t, err)
	by := access.Caller{Namespace: "other"}
	for _, f := range []audit.Filter{{Max: 100}, {Max: 100, Since: time.Now().Add(-time.Hour)}} {
		found, next, err := audit.List(t.Context(), db.New(pool), by, f)
		require.NoError(t, err)
		require.Len(t, found, 5)
		require.Nil(t, next)
	}
	found, _, err := audit.List(t.Context(), db.New(pool), by, audit.Filter{Max: 100, ResourceID: new("thing-100")})
	require.NoError(t, err)
	require.Empty(t, found)
	by.IsServiceWide = true
	found, _, err = audit.List(t.Context(), db.New(pool), by, audit.Filter{Max: 100})
	require.NoError(t, err)
	require.Len(t, found, 100, "the trace stays")
}
