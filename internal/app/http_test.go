package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
)

// answer is a response that has been read.
type answer struct {
	status int
	header http.Header
	body   string
}

// send sends a request with header fields, given as name and value in turn, and does not follow
// redirects.
func (i instance) send(t *testing.T, method, path string, body io.Reader, fields ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, i.url+path, body)
	require.NoError(t, err)
	for n := 0; n < len(fields); n += 2 {
		request.Header.Set(fields[n], fields[n+1])
	}
	transport := http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	response, err := transport.RoundTrip(request)
	require.NoError(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return answer{response.StatusCode, response.Header, string(content)}
}

// requireProblem checks that an answer is a problem of a status.
func (a answer) requireProblem(t *testing.T, status int) {
	t.Helper()
	require.Equal(t, status, a.status, a.body)
	require.Equal(t, "application/problem+json", a.header.Get("Content-Type"), a.body)
	var p client.Problem
	require.NoError(t, json.Unmarshal([]byte(a.body), &p))
	require.Equal(t, status, int(p.Status))
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	service := setup(t, app.Config{Role: app.RoleAPI})

	t.Run("HEAD is GET without the body", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/livez", "/readyz", "/api/v1/jobs", "/openapi.json", "/docs/"} {
			got := service.send(t, http.MethodHead, path, nil)
			require.Equal(t, http.StatusOK, got.status, path)
			require.Empty(t, got.body, path)
		}
		require.Equal(t, http.StatusNotFound, service.send(t, http.MethodHead, "/api/v1/nothing", nil).status)
	})
	t.Run("a method that a path does not take", func(t *testing.T) {
		t.Parallel()
		for _, method := range []string{http.MethodPut, http.MethodTrace, http.MethodOptions, "PROPFIND", "MADEUP"} {
			got := service.send(t, method, "/api/v1/jobs", nil)
			got.requireProblem(t, http.StatusMethodNotAllowed)
			require.Equal(t, "GET, HEAD, POST", got.header.Get("Allow"), method)
			service.send(t, method, "/api/v1/nothing", nil).requireProblem(t, http.StatusNotFound)
		}
	})
	t.Run("a method that the documentation does not take", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/docs", "/docs/", "/docs/swagger-ui.css"} {
			got := service.send(t, http.MethodDelete, path, nil)
			got.requireProblem(t, http.StatusMethodNotAllowed)
			require.Equal(t, "GET, HEAD", got.header.Get("Allow"), path)
		}
	})
	t.Run("an escaped slash in a path", func(t *testing.T) {
		t.Parallel()
		service.send(t, http.MethodPut, "/api/v1/jobs/a%2Fb", nil).requireProblem(t, http.StatusMethodNotAllowed)
	})
	t.Run("many parameters that do not exist", func(t *testing.T) {
		t.Parallel()
		var query strings.Builder
		for n := range 1000 {
			fmt.Fprintf(&query, "&unknown%03d", n)
		}
		got := service.send(t, http.MethodGet, "/api/v1/jobs?"+query.String(), nil)
		got.requireProblem(t, http.StatusBadRequest)
		require.Equal(t, 100, strings.Count(got.body, "unknown-field"))
		require.Contains(t, got.body, "unknown099", "the first ones are named")
	})
	t.Run("nothing below the documentation", func(t *testing.T) {
		t.Parallel()
		service.send(t, http.MethodGet, "/docs/nothing.js", nil).requireProblem(t, http.StatusNotFound)
	})
	t.Run("the root is the dashboard, which leads to the documentation", func(t *testing.T) {
		t.Parallel()
		got := service.send(t, http.MethodGet, "/", nil)
		require.Equal(t, http.StatusOK, got.status)
		require.Contains(t, got.body, `href="/docs"`)
	})
	t.Run("headers for browsers and caches", func(t *testing.T) {
		t.Parallel()
		for path, isPage := range map[string]bool{"/api/v1/jobs": false, "/api/v1/nothing": false, "/livez": false, "/docs": true, "/docs/swagger-ui.css": true} {
			got := service.send(t, http.MethodGet, path, nil)
			require.Equal(t, "nosniff", got.header.Get("X-Content-Type-Options"), path)
			require.Equal(t, "DENY", got.header.Get("X-Frame-Options"), path)
			require.Equal(t, "same-origin", got.header.Get("Referrer-Policy"), path)
			policy := got.header.Get("Content-Security-Policy")
			require.Contains(t, policy, "default-src 'none'", path)
			require.Contains(t, policy, "frame-ancestors 'none'", path)
			require.NotContains(t, policy, "unsafe", path)
			require.Equal(t, isPage, strings.Contains(policy, "'self'"), path)
			require.Equal(t, !isPage, got.header.Get("Cache-Control") == "no-store", path)
		}
	})
	t.Run("a name that is not allowed", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/api/v1/jobs", "/livez", "/docs", "/nothing"} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, service.url+path, nil)
			require.NoError(t, err)
			request.Host = "rebound.test"
			response, err := http.DefaultClient.Do(request)
			require.NoError(t, err)
			defer response.Body.Close()
			require.Equal(t, http.StatusForbidden, response.StatusCode, path)
		}
	})
	t.Run("a large header", func(t *testing.T) {
		t.Parallel()
		got := service.send(t, http.MethodGet, "/livez", nil, "X-Large", strings.Repeat("x", 100<<10))
		require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, got.status)
	})
}

func TestHTTP_refusedBodies(t *testing.T) {
	t.Parallel()
	service := setup(t, app.Config{Role: app.RoleAPI})
	const contentType, isJSON = "Content-Type", "application/json"
	ofUnknownLength := func(text string) io.Reader { return io.MultiReader(strings.NewReader(text)) }
	for name, c := range map[string]struct {
		body   io.Reader
		fields []string
		status int
	}{
		"of another type":           {strings.NewReader("{}"), []string{contentType, "text/plain"}, http.StatusUnsupportedMediaType},
		"of no type":                {strings.NewReader("{}"), nil, http.StatusUnsupportedMediaType},
		"of unknown length, type":   {ofUnknownLength("{}"), nil, http.StatusUnsupportedMediaType},
		"encoded":                   {strings.NewReader("{}"), []string{contentType, isJSON, "Content-Encoding", "gzip"}, http.StatusUnsupportedMediaType},
		"encoded in unknown length": {ofUnknownLength("{}"), []string{contentType, isJSON, "Content-Encoding", "br"}, http.StatusUnsupportedMediaType},
		"as it is":                  {strings.NewReader("{}"), []string{contentType, isJSON, "Content-Encoding", "identity"}, http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service.send(t, http.MethodPost, "/api/v1/jobs", c.body, c.fields...).requireProblem(t, c.status)
		})
	}
	t.Run("too long, without being read", func(t *testing.T) {
		t.Parallel()
		never, sends := io.Pipe() // whoever reads it waits
		defer sends.Close()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, service.url+"/api/v1/jobs", never)
		require.NoError(t, err)
		request.ContentLength = 20 << 20
		request.Header.Set(contentType, isJSON)
		var transport http.Transport
		t.Cleanup(transport.CloseIdleConnections)
		response, err := transport.RoundTrip(request)
		require.NoError(t, err)
		defer response.Body.Close()
		require.Equal(t, http.StatusRequestEntityTooLarge, response.StatusCode)
	})
}

// JSON has no integers of its own. A number without a fraction is one, however it is written.
func TestHTTP_wholeNumbersAreIntegers(t *testing.T) {
	t.Parallel()
	service := setup(t, app.Config{Role: app.RoleAPI})
	const body = `{"name":"whole","intervalInSeconds":3600.0,"maxAttempts":1e0,"payload":{"a":1.0,"b":2e3}}`
	got := service.send(t, http.MethodPost, "/api/v1/jobs", strings.NewReader(body), "Content-Type", "application/json")
	require.Equal(t, http.StatusCreated, got.status, got.body)
	require.Contains(t, got.body, `"intervalInSeconds":3600,`)
	require.Contains(t, got.body, `"payload":{"a":1.0,"b":2e3}`, "the payload is kept as it was sent")
	got = service.send(t, http.MethodPost, "/api/v1/jobs", strings.NewReader(`{"name":"half","intervalInSeconds":1.5}`),
		"Content-Type", "application/json")
	got.requireProblem(t, http.StatusBadRequest)
}

func TestHTTP_listIsBoundedBySize(t *testing.T) {
	t.Parallel()
	service := setup(t, app.Config{Role: app.RoleAPI})
	large := json.RawMessage(`"` + strings.Repeat("x", 1_000_000) + `"`)
	const jobs = 12
	for range jobs {
		created, err := service.CreateJobWithResponse(t.Context(), nil, client.JobCreate{
			Name: "large", IntervalInSeconds: new(int64(3600)), Payload: large,
		})
		require.NoError(t, err)
		require.Equal(t, http.StatusCreated, created.StatusCode(), "%s", created.Body[:min(len(created.Body), 500)])
	}
	seen := map[string]bool{}
	params := client.ListJobsParams{Limit: new(client.Limit(100))}
	for pages := 1; ; pages++ {
		list, err := service.ListJobsWithResponse(t.Context(), &params)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, list.StatusCode())
		require.Less(t, len(list.Body), 10<<20, "a page is bounded")
		for _, job := range list.JSON200.Items {
			seen[job.Id.String()] = true
		}
		if list.JSON200.NextCursor == nil {
			require.Equal(t, 2, pages)
			break
		}
		params.Cursor = list.JSON200.NextCursor
	}
	require.Len(t, seen, jobs, "the pages together have all jobs")
}
