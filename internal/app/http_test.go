package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
)

// send sends a request without following redirects, and returns the response and its body.
func (i instance) send(t *testing.T, method, path string, body io.Reader, headers ...string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, i.url+path, body)
	require.NoError(t, err)
	for n := 0; n < len(headers); n += 2 {
		request.Header.Set(headers[n], headers[n+1])
	}
	transport := http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	response, err := transport.RoundTrip(request)
	require.NoError(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, string(content)
}

// requireProblem checks that a response is a problem.
func requireProblem(t *testing.T, status int, response *http.Response, body string) {
	t.Helper()
	require.Equal(t, status, response.StatusCode, body)
	require.Equal(t, "application/problem+json", response.Header.Get("Content-Type"), body)
	var p client.Problem
	require.NoError(t, json.Unmarshal([]byte(body), &p))
	require.Equal(t, status, int(p.Status))
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	service := setup(t, app.Config{Role: app.RoleAPI})

	t.Run("HEAD is GET without the body", func(t *testing.T) {
		for _, path := range []string{"/livez", "/readyz", "/api/v1/jobs", "/openapi.json", "/docs/"} {
			response, body := service.send(t, http.MethodHead, path, nil)
			require.Equal(t, http.StatusOK, response.StatusCode, path)
			require.Empty(t, body, path)
		}
		response, _ := service.send(t, http.MethodHead, "/api/v1/nothing", nil)
		require.Equal(t, http.StatusNotFound, response.StatusCode)
	})
	t.Run("a method that a path does not take", func(t *testing.T) {
		for _, method := range []string{http.MethodPut, http.MethodTrace, http.MethodOptions, "PROPFIND", "MADEUP"} {
			response, body := service.send(t, method, "/api/v1/jobs", nil)
			requireProblem(t, http.StatusMethodNotAllowed, response, body)
			require.Equal(t, "GET, HEAD, POST", response.Header.Get("Allow"), method)
			response, body = service.send(t, method, "/api/v1/nothing", nil)
			requireProblem(t, http.StatusNotFound, response, body)
		}
	})
	t.Run("nothing below the documentation", func(t *testing.T) {
		response, body := service.send(t, http.MethodGet, "/docs/nothing.js", nil)
		requireProblem(t, http.StatusNotFound, response, body)
	})
	t.Run("the root leads to the documentation", func(t *testing.T) {
		response, _ := service.send(t, http.MethodGet, "/", nil)
		require.Equal(t, http.StatusFound, response.StatusCode)
		require.Equal(t, "/docs", response.Header.Get("Location"))
	})
	t.Run("a large header", func(t *testing.T) {
		response, _ := service.send(t, http.MethodGet, "/livez", nil, "X-Large", strings.Repeat("x", 100<<10))
		require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, response.StatusCode)
	})
}
