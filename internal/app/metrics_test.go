package app_test

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/internal/access"
	"punctual/internal/app"
	"punctual/internal/keys"
)

// createKey creates a key with some scopes, in the default namespace or for all.
func (i instance) createKey(t *testing.T, isServiceWide bool, scopes ...access.Scope) string {
	t.Helper()
	_, key, err := keys.New(keys.Config{Pool: i.db}).Create(t.Context(), access.Command("default"),
		keys.Request{Scopes: scopes, IsServiceWide: isServiceWide})
	require.NoError(t, err)
	return key.Reveal()
}

// get returns the status and the body of a page, asked for with a key, if there is one, and as a
// host, if that is not the one of the URL.
func get(t *testing.T, url, key, host string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	request.Host = host
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(text)
}

func freePort(t *testing.T) uint16 {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = socket.Close() }()
	return netip.MustParseAddrPort(socket.Addr().String()).Port()
}

// Where callers need a key, metrics do, too: one for all namespaces, with the scope.
func TestMetrics_access(t *testing.T) {
	t.Parallel()
	for _, role := range []app.Role{app.RoleAll, app.RoleAPI, app.RolePoller} {
		service := setup(t, app.Config{Role: role, Auth: app.AuthRequired})
		status := func(key string) int {
			status, body := get(t, service.url+"/metrics", key, "")
			if status == http.StatusOK {
				require.Contains(t, body, "\npunctual_runs_total{")
			} else {
				require.NotContains(t, body, "punctual_")
			}
			return status
		}
		require.Equal(t, http.StatusUnauthorized, status(""), "%s", role)
		require.Equal(t, http.StatusUnauthorized, status("wrong"))
		require.Equal(t, http.StatusForbidden, status(service.createKey(t, false, access.Scopes...)), "it is bound to a namespace")
		require.Equal(t, http.StatusForbidden, status(service.createKey(t, true, access.JobsRead, access.Admin)), "it lacks the scope")
		require.Equal(t, http.StatusOK, status(service.createKey(t, true, access.MetricsRead)))
	}
}

func TestMetrics_settings(t *testing.T) {
	t.Parallel()
	open := setup(t, app.Config{Auth: app.AuthRequired, Metrics: app.MetricsOpen})
	status, body := get(t, open.url+"/metrics", "", "")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "punctual_build_info")

	off := setup(t, app.Config{Metrics: app.MetricsOff})
	off.createJob(t, "goes on")
	status, _ = get(t, off.url+"/metrics", "", "")
	require.Equal(t, http.StatusNotFound, status)

	local := setup(t, app.Config{})
	status, _ = get(t, local.url+"/metrics", "", "")
	require.Equal(t, http.StatusOK, status, "nobody needs a key")
	status, _ = get(t, local.url+"/metrics", "", "rebound.example.com")
	require.Equal(t, http.StatusForbidden, status, "a page of a browser gets nothing")

	port := freePort(t)
	apart := setup(t, app.Config{Auth: app.AuthRequired, MetricsPort: port})
	status, _ = get(t, apart.url+"/metrics", apart.createKey(t, true, access.Scopes...), "")
	require.Equal(t, http.StatusNotFound, status, "they are on their own port")
	own := "http://" + netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port).String()
	status, _ = get(t, own+"/metrics", "", "")
	require.Equal(t, http.StatusOK, status)
	status, _ = get(t, own+"/metrics", "", "rebound.example.com")
	require.Equal(t, http.StatusForbidden, status)
	status, _ = get(t, own+"/api/v1/jobs", "", "")
	require.Equal(t, http.StatusNotFound, status, "nothing else is there")

	require.ErrorContains(t, app.Config{Host: "localhost", Metrics: "yes"}.Validate(), "METRICS")
	require.ErrorContains(t, app.Config{Host: "localhost", Port: 3000, MetricsPort: 3000}.Validate(), "METRICS_PORT")
}

// An instance measures what it does.
func TestMetrics_measures(t *testing.T) {
	t.Parallel()
	service := setup(t, app.Config{})
	const patience = time.Minute
	require.Eventually(t, func() bool { // what is announced before that is not heard
		_, body := get(t, service.url+"/metrics", "", "")
		return strings.Contains(body, "\npunctual_listening 1\n")
	}, patience, 50*time.Millisecond)
	service.createJob(t, "beat")
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		_, body := get(t, service.url+"/metrics", "", "")
		for _, series := range []string{
			`punctual_runs_total\{outcome="succeeded",target="log",trigger="schedule"\} [1-9]`,
			`punctual_run_lateness_seconds_bucket\{target="log",le="5"\} [1-9]`,
			`punctual_run_duration_seconds_count\{target="log"\} [1-9]`,
			`punctual_claim_batch_runs_count\{kind="at-once"\} [1-9]`,
			`punctual_completion_batch_runs_count [1-9]`,
			`punctual_http_requests_total\{operation="createJob",status="201"\} 1`,
			`punctual_lease_renewals_total\{outcome="renewed"\} [1-9]`,
			`punctual_notifications_heard_total\{channel="due"\} [1-9]`,
			`punctual_listening 1`,
			`punctual_instances 1`,
			`punctual_slots\{of="all"\} 2000`,
			`punctual_pool_acquires_total\{pool="engine"\} [1-9]`,
		} {
			assert.Regexp(c, `(?m)^`+series, body)
		}
	}, patience, 200*time.Millisecond)
}
