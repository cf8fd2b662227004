package maintenance_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/internal/maintenance"
)

// Connections of older versions get a state, and the states that others have stay.
func TestConnectionStates(t *testing.T) {
	t.Parallel()
	q, pool := setup(t)
	for _, key := range []string{"crm", "erp"} {
		_, err := pool.Exec(t.Context(), `insert into connections (id, namespace, key, base_url, definition, max_concurrency, is_adaptive, updated_by)
			values ($1, 'default', $2, 'https://example.com', '{}', 1, true, 'test')`, uuid.Must(uuid.NewV7()), key)
		require.NoError(t, err)
	}
	duty := maintenance.ConnectionStates(q)
	for _, added := range []int64{2, 0} {
		result, err := duty.Pass(t.Context())
		require.NoError(t, err)
		require.Equal(t, added, result.Count)
		_, err = pool.Exec(t.Context(), "update connection_states set down_since = now()")
		require.NoError(t, err)
	}
	require.Equal(t, 2, count(t, pool, "select count(*) from connection_states where down_since is not null"))
}
