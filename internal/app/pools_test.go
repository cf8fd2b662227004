package app_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"punctual/gen/client"
	"punctual/internal/app"
)

// The engine must not wait for API requests: here they occupy every connection that they can get.
func TestPools_lockedJobDelaysNoRun(t *testing.T) {
	t.Parallel()
	service := setup(t, app.Config{APIConnections: 4, EngineConnections: 4, APIStatementTimeout: 5 * time.Second})
	other, locked := service.createJob(t, "beat"), service.createJob(t, "locked")
	var lease uuid.UUID
	require.Eventually(t, func() bool {
		return service.db.QueryRow(t.Context(), "select id from leases").Scan(&lease) == nil
	}, 10*time.Second, 20*time.Millisecond)

	tx, err := service.db.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	_, err = tx.Exec(t.Context(), "select from jobs where id = $1 for update", locked.Id)
	require.NoError(t, err)
	began := time.Now()
	var requests errgroup.Group
	for range 8 { // twice the connections
		requests.Go(func() error {
			name := "renamed"
			got, err := service.UpdateJobWithResponse(t.Context(), locked.Id, nil, client.JobUpdate{Name: &name})
			if err == nil {
				assert.Equal(t, http.StatusServiceUnavailable, got.StatusCode(), "%s", got.Body)
				assert.NotEmpty(t, got.HTTPResponse.Header.Get("Retry-After"))
			}
			return err
		})
	}
	require.NoError(t, requests.Wait())
	require.True(t, service.isReady(t), "an overloaded API takes no instance away")

	var runs int
	var latest time.Duration
	require.NoError(t, service.db.QueryRow(t.Context(), `
		select count(*), max(started_at - scheduled_for) from runs
		where job_id = $1 and scheduled_for >= $2 and status = 'SUCCEEDED'`, other.Id, began).Scan(&runs, &latest))
	require.GreaterOrEqual(t, runs, int(time.Since(began).Seconds())-3, "every second has a run")
	require.Less(t, latest, 3*time.Second, "no run waits for the requests, which wait for 5 s")
	var still uuid.UUID
	require.NoError(t, service.db.QueryRow(t.Context(), "select id from leases").Scan(&still))
	require.Equal(t, lease, still, "the lease is held all the time")
}

func TestReadiness_lockedTable(t *testing.T) {
	t.Parallel()
	service := setup(t, app.Config{Role: app.RoleAPI, APIStatementTimeout: 500 * time.Millisecond})
	require.True(t, service.isReady(t))
	tx, err := service.db.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "lock table jobs in access exclusive mode")
	require.NoError(t, err)

	require.False(t, service.isReady(t), "nothing can be served")
	list, err := service.ListJobsWithResponse(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, list.StatusCode(), "%s", list.Body)
	require.Contains(t, string(list.Body), "did not answer in time")
	require.NoError(t, tx.Rollback(t.Context()))
	require.True(t, service.isReady(t))
	var waiting int
	require.NoError(t, service.db.QueryRow(t.Context(),
		"select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'").Scan(&waiting))
	require.Zero(t, waiting, "no abandoned statement waits in the server")
}

func TestReadiness_readOnlyDatabase(t *testing.T) {
	t.Parallel()
	service := setup(t, app.Config{Role: app.RoleAPI})
	create := func() int {
		got, err := service.CreateJobWithResponse(t.Context(), nil, client.JobCreate{Name: "job", IntervalInSeconds: new(int64(60))})
		require.NoError(t, err)
		return got.StatusCode()
	}
	become := func(readOnly string) {
		t.Helper()
		// A session keeps the setting with which it began.
		_, err := service.db.Exec(t.Context(), `
			do $$ begin
				execute format('alter database %I set default_transaction_read_only = `+readOnly+`', current_database());
			end $$`)
		require.NoError(t, err)
	}
	require.Equal(t, http.StatusCreated, create())
	become("on")
	_, err := service.db.Exec(t.Context(), `
		select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return create() == http.StatusServiceUnavailable && !service.isReady(t) },
		10*time.Second, 50*time.Millisecond, "changes are refused, and the instance is not ready")
	_, err = service.db.Exec(t.Context(), "set default_transaction_read_only = off")
	require.NoError(t, err)
	become("off")
	require.Eventually(t, func() bool { return create() == http.StatusCreated && service.isReady(t) },
		5*time.Second, 50*time.Millisecond, "the sessions that began read-only are replaced")
}
