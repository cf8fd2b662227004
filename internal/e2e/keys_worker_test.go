package e2e

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/access"
	"punctual/internal/keys"
)

// A worker whose key is revoked while it waits gets no run, and holds none.
func TestWaitingWorkerWithRevokedKey(t *testing.T) {
	t.Parallel()
	service, db := setupWithKeys(t)
	_, root := makeKey(t, db, "default", keys.Request{})
	id, key := makeKey(t, db, "default", keys.Request{Scopes: []access.Scope{access.Workers}})
	owner, worker := service.as(t, root), service.as(t, key)
	answers := make(chan *client.LeaseRunsResponse, 1)
	go func() {
		answer, err := worker.LeaseRunsWithResponse(t.Context(), "images", client.LeaseRequest{WaitSeconds: new(int32(30))})
		if err != nil {
			t.Error(err)
		}
		answers <- answer
	}()
	// It waits, because the instance asks when its queue has a run.
	require.Eventually(t, func() bool {
		return count(t, db, `select count(*) from pg_stat_activity where datname = current_database() and query like '%name: NextQueued%'
			and pid <> pg_backend_pid()`) > 0
	}, patience, 10*time.Millisecond)
	revoked, err := owner.RevokeKeyWithResponse(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, revoked.StatusCode())
	owner.runOf(t, "images")
	answer := <-answers
	require.NotNil(t, answer)
	require.Equal(t, http.StatusUnauthorized, answer.StatusCode(), "%s", answer.Body)
	require.Equal(t, "credentials-invalid", answer.ApplicationproblemJSON401.Code)
	leased, err := owner.LeaseRunsWithResponse(t.Context(), "images", client.LeaseRequest{WaitSeconds: new(int32(10))})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, leased.StatusCode(), "another worker gets the run")
}

// While the database cannot be reached, nobody knows whether a key is valid: that is no 401, after
// which a program would give up.
func TestKeyWithoutDatabase(t *testing.T) {
	t.Parallel()
	service, db := setupWithKeys(t)
	_, key := makeKey(t, db, "default", keys.Request{})
	config := db.Config().ConnConfig.Copy()
	name := pgx.Identifier{config.Database}.Sanitize()
	config.Database = "postgres"
	admin, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	defer func() { require.NoError(t, admin.Close(context.WithoutCancel(t.Context()))) }()
	allow := func(allowed string) {
		_, err := admin.Exec(t.Context(), "alter database "+name+" allow_connections "+allowed)
		require.NoError(t, err)
	}
	allow("false")
	defer allow("true")
	_, err = admin.Exec(t.Context(), `select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1`,
		db.Config().ConnConfig.Database)
	require.NoError(t, err)
	status, code, _ := service.as(t, key).listStatus(t)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "database-unavailable", code)
	allow("true")
	status, _, _ = service.as(t, key).listStatus(t)
	require.Equal(t, http.StatusOK, status)
}
