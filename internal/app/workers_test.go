package app_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"punctual/gen/client"
	"punctual/internal/access"
	"punctual/internal/app"
	"punctual/internal/keys"
)

// Requests of workers must not wait for those of others, which have all the connections that they
// can get here: heartbeats that come late cost leases. That holds for finding out whose they are,
// too.
func TestWorkersWithKeysAreServedWhileTheAPIIsBusy(t *testing.T) {
	t.Parallel()
	service := setup(t, app.Config{Role: app.RoleAPI, Auth: app.AuthRequired, APIConnections: 1, APIStatementTimeout: 8 * time.Second})
	as := func() client.RequestEditorFn {
		_, plain, err := keys.New(keys.Config{Pool: service.db}).Create(t.Context(), access.Command("default"),
			keys.Request{Description: "of a test", Scopes: access.Scopes})
		require.NoError(t, err)
		return func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+plain.Reveal())
			return nil
		}
	}
	reader, worker := as(), as()
	tx, err := service.db.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	_, err = tx.Exec(t.Context(), "lock table jobs in access exclusive mode")
	require.NoError(t, err)
	var busy errgroup.Group
	for range 2 {
		busy.Go(func() error {
			_, err := service.ListJobsWithResponse(t.Context(), nil, reader)
			return err
		})
	}
	require.Eventually(t, func() bool {
		var waiting int
		require.NoError(t, service.db.QueryRow(t.Context(),
			"select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'").Scan(&waiting))
		return waiting > 0
	}, 10*time.Second, 10*time.Millisecond)

	began := time.Now()
	beat, err := service.HeartbeatWithResponse(t.Context(), uuid.New(), worker) // nobody knows this key yet
	require.NoError(t, err)
	require.Equal(t, http.StatusConflict, beat.StatusCode(), "%s", beat.Body)
	require.Less(t, time.Since(began), 3*time.Second)
	require.NoError(t, tx.Rollback(t.Context()))
	require.NoError(t, busy.Wait())
}
