package api

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/internal/access"
	"punctual/internal/database"
	"punctual/internal/idempotency"
	"punctual/internal/testdb"
)

// A handler that panics, or gives its connection up, leaves the key free if it has changed nothing.
func TestServeOnce_panics(t *testing.T) {
	t.Parallel()
	pool, err := database.Open(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	service := idempotency.New(idempotency.Config{Pool: pool, Instance: uuid.New()})
	request := idempotency.Request{Key: "k", Method: http.MethodPost, Path: "/api/v1/jobs"}
	by := access.Anonymous(access.DefaultNamespace)
	for range 2 {
		begun, err := service.Begin(t.Context(), by, request)
		require.NoError(t, err)
		require.NotNil(t, begun.Attempt)
		panics := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			assert.Equal(t, begun.Attempt.ID, access.From(r.Context()).RequestID)
			panic(http.ErrAbortHandler)
		})
		require.PanicsWithError(t, http.ErrAbortHandler.Error(), func() {
			serveOnce(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil),
				&openapi3.Operation{}, begun.Attempt, panics)
		})
		var left int
		require.NoError(t, pool.QueryRow(t.Context(), `select count(*) from idempotency_keys`).Scan(&left))
		require.Zero(t, left)
	}
}

// What a repeated request gets again: not what failed, or was refused for who asked or how often.
func TestIsToBeKept(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{
		200: true, 201: true, 202: true, 400: true, 404: true, 409: true, 412: true,
		401: false, 403: false, 429: false, 500: false, 503: false,
	} {
		require.Equal(t, want, isToBeKept(status), "%d", status)
	}
}
