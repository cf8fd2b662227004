package e2e

import (
	"net/http"
	"testing"
	"time"

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
