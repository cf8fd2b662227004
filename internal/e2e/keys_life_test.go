package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/access"
	"punctual/internal/keys"
	"punctual/internal/testdb"
)

func TestKeyIsRevokedAtAllInstances(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	here, there, db := startWithKeys(t, url), startWithKeys(t, url), connect(t, url)
	_, root := makeKey(t, db, "default", keys.Request{})
	made := here.as(t, root).createKey(t, client.KeyCreate{})
	for _, each := range []instance{here, there} {
		status, _, _ := each.as(t, *made.Key).listStatus(t)
		require.Equal(t, http.StatusOK, status, "the key can be used at once")
	}
	for range 2 { // the second time changes nothing
		revoked, err := here.as(t, root).RevokeKeyWithResponse(t.Context(), made.Id)
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, revoked.StatusCode())
	}
	status, code, _ := here.as(t, *made.Key).listStatus(t)
	require.Equal(t, http.StatusUnauthorized, status, "the instance that revoked it refuses it at once")
	require.Equal(t, "credentials-invalid", code)
	require.EventuallyWithT(t, func(c *assertCollect) {
		status, _, _ := there.as(t, *made.Key).listStatus(t)
		assert.Equal(c, http.StatusUnauthorized, status)
	}, 4*time.Second, 10*time.Millisecond, "the other instance refuses it before it reads the key again")

	got, err := there.as(t, root).GetKeyWithResponse(t.Context(), made.Id)
	require.NoError(t, err)
	require.Equal(t, client.KeyStatusREVOKED, got.JSON200.Status)
	require.Nil(t, got.JSON200.Key, "the key is shown once")
	var audited int
	require.NoError(t, db.QueryRow(t.Context(),
		`select count(*) from audit where resource_id = $1 and operation in ('createKey', 'revokeKey')`, made.Id).Scan(&audited))
	require.Equal(t, 2, audited)
}

func TestKeyExpires(t *testing.T) {
	t.Parallel()
	service, db := setupWithKeys(t)
	id, key := makeKey(t, db, "default", keys.Request{ExpiresAt: new(time.Now().Add(time.Hour))})
	status, _, _ := service.as(t, key).listStatus(t)
	require.Equal(t, http.StatusOK, status)
	_, err := db.Exec(t.Context(), `update keys set expires_at = now() where id = $1`, id)
	require.NoError(t, err)
	// Nobody notified the instance: it reads the key again by itself.
	require.EventuallyWithT(t, func(c *assertCollect) {
		status, code, _ := service.as(t, key).listStatus(t)
		assert.Equal(c, http.StatusUnauthorized, status)
		assert.Equal(c, "credentials-invalid", code)
	}, 10*time.Second, 100*time.Millisecond)
}

func TestLastUseIsStoredWhenTheServiceStops(t *testing.T) {
	t.Parallel()
	service, db := setupWithKeys(t)
	id, key := makeKey(t, db, "default", keys.Request{})
	status, _, _ := service.as(t, key).listStatus(t)
	require.Equal(t, http.StatusOK, status)
	require.NoError(t, service.stop())
	var isUsed bool
	require.NoError(t, db.QueryRow(t.Context(), `select last_used_at > created_at from keys where id = $1`, id).Scan(&isUsed))
	require.True(t, isUsed)
}

func TestKeyOfSomeQueues(t *testing.T) {
	t.Parallel()
	service, db := setupWithKeys(t)
	_, root := makeKey(t, db, "default", keys.Request{})
	_, key := makeKey(t, db, "default", keys.Request{Scopes: []access.Scope{access.Workers}, Queues: []string{"images"}})
	owner, worker := service.as(t, root), service.as(t, key)
	require.Len(t, owner.leaseOf(t, "images", 1).Runs, 1)
	foreign := owner.leaseOf(t, "reports", 1)

	refused, err := worker.LeaseRunsWithResponse(t.Context(), "reports", client.LeaseRequest{WaitSeconds: new(int32(0))})
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, refused.StatusCode())
	require.Equal(t, "queue-not-allowed", refused.ApplicationproblemJSON403.Code)
	beat, err := worker.HeartbeatWithResponse(t.Context(), foreign.Id)
	require.NoError(t, err)
	require.Equal(t, http.StatusConflict, beat.StatusCode())
	done, err := worker.CompleteRunWithResponse(t.Context(), foreign.Runs[0].Id, client.RunCompletion{Token: foreign.Runs[0].Token})
	require.NoError(t, err)
	require.Equal(t, http.StatusConflict, done.StatusCode())

	owner.runOf(t, "images")
	own, err := worker.LeaseRunsWithResponse(t.Context(), "images", client.LeaseRequest{WaitSeconds: new(int32(10))})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, own.StatusCode())
	done, err = worker.CompleteRunWithResponse(t.Context(), own.JSON200.Runs[0].Id, client.RunCompletion{Token: own.JSON200.Runs[0].Token})
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, done.StatusCode())
}

func TestBoundAdminKnowsItsNamespaceOnly(t *testing.T) {
	t.Parallel()
	service, db := setupWithKeys(t)
	wideID, wide := makeKey(t, db, "default", keys.Request{IsServiceWide: true})
	boundID, bound := makeKey(t, db, "default", keys.Request{})
	page, err := service.as(t, bound).ListKeysWithResponse(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, page.JSON200.Items, 1)
	require.Equal(t, boundID, page.JSON200.Items[0].Id)
	page, err = service.as(t, wide).ListKeysWithResponse(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, page.JSON200.Items, 2)
	gone, err := service.as(t, bound).RevokeKeyWithResponse(t.Context(), wideID)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, gone.StatusCode())
	refused, err := service.as(t, bound).CreateKeyWithResponse(t.Context(), nil, client.KeyCreate{
		Description: "more", Scopes: client.Scopes{client.ScopeAdmin}, IsServiceWide: new(true),
	})
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, refused.StatusCode())
	require.Equal(t, "isServiceWide", (*refused.ApplicationproblemJSON400.Errors)[0].Field)
}
