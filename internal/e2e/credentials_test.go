package e2e

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/app"
	"punctual/internal/keys"
	"punctual/internal/testdb"
)

// TestCredentialsAreNotWritten sends keys, tokens and secrets of targets, right and wrong ones,
// where they belong and where they do not. TestMain searches all that is logged and stored for
// them, and this test sees to it that there is enough to search.
func TestCredentialsAreNotWritten(t *testing.T) {
	t.Parallel()
	server, heard := echo(t)
	databaseURL := testdb.New(t)
	p := startProvider(t)
	service := start(t, withTokens(t, reachable(t, app.Config{
		Database: app.DatabaseConfig{URL: databaseURL}, SecretKeys: keyring(t, "first"), LogRuns: true,
	}, server.URL), p.Issuer))
	db := connect(t, databaseURL)
	_, key := makeKey(t, db, "default", keys.Request{})
	_, revoked := makeKey(t, db, "default", keys.Request{})
	_, err := db.Exec(t.Context(), "update keys set revoked_at = now() where id = $1", strings.Split(revoked, "_")[1])
	require.NoError(t, err)
	token := p.token(t, "ops", tokenAudience)
	caller := service.as(t, key)

	job := caller.create(t, `{"name":"n","intervalInSeconds":3600,"maxAttempts":2,"minBackoffSeconds":0,"maxBackoffSeconds":0,
		"target":{"type":"http","url":"`+server.URL+`/x","secretHeaders":{"Authorization":"Bearer target-secret-4711"},
		"signingSecrets":["`+signingSecret+`"]}}`)
	caller.startRun(t, job.Id, "")
	for range 2 {
		require.Equal(t, "Bearer target-secret-4711", (<-heard).Get("Authorization"))
	}
	credentials := map[string]string{
		"a key": key, "a revoked key": revoked, "an unknown key": unknownKey, "half a key": key[:len(key)-8], "a token": token,
		"a forged token": token[:len(token)-12] + "AAAAAAAAAAAA",
	}
	for name, credential := range credentials {
		written.credentials(name+" in an odd place", "Bearer "+credential)
		for _, request := range oddRequests(t, service.url, key, credential) {
			answer, err := http.DefaultClient.Do(request)
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
			require.NotEqual(t, http.StatusInternalServerError, answer.StatusCode, "%s %s", request.Method, request.URL)
		}
		for _, text := range []string{
			"GET /" + credential + " HTTP/1.1\r\nHost: " + credential + "\r\n\r\n",
			credential + " / HTTP/1.1\r\nHost: x\r\n\r\n",
			"GET / HTTP/1.1\r\n" + credential + "\r\n\r\n",
			credential + "\r\n\r\n",
		} {
			sendRaw(t, service.url, text)
		}
	}
	if !testing.Short() {
		load(t, service.url, key, token, revoked, unknownKey)
	}
}

// oddRequests returns requests of the owner of a key that have a credential where it does not
// belong.
func oddRequests(t *testing.T, at, key, credential string) (all []*http.Request) {
	t.Helper()
	add := func(method, path, body string, header map[string]string) {
		request, err := http.NewRequestWithContext(t.Context(), method, at+path, strings.NewReader(body))
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+key)
		request.Header.Set("Content-Type", "application/json")
		for name, value := range header {
			request.Header.Set(name, value)
		}
		all = append(all, request)
	}
	add(http.MethodGet, "/"+credential, "", nil)
	add(http.MethodGet, "/api/v1/jobs/"+credential, "", nil)
	add(http.MethodDelete, "/api/v1/jobs/"+credential, "", nil)
	add(http.MethodPost, "/api/v1/runs/"+credential+"/cancel", "", nil)
	for _, parameter := range []string{"cursor", "limit", "token", credential} {
		add(http.MethodGet, "/api/v1/jobs?"+parameter+"="+url.QueryEscape(credential), "", nil)
	}
	for _, body := range []string{
		credential, `"` + credential + `"`, `{"` + credential + `":1}`, `{"name":"n","intervalInSeconds":"` + credential + `"}`,
		`{"name":"n","target":{"type":"` + credential + `"}}`, `{"name":"n","cron":"` + credential + `"}`,
	} {
		add(http.MethodPost, "/api/v1/jobs", body, nil)
	}
	for _, name := range []string{
		"Authorization", "Punctual-Namespace", "X-Request-Id", "User-Agent", "Cookie", "Referer", "Content-Type", "Accept",
		"If-Match", "X-Api-Key", "Proxy-Authorization", "Origin", "X-Forwarded-For", "Traceparent",
	} {
		add(http.MethodPost, "/api/v1/jobs", `{"name":"n"}`, map[string]string{name: credential})
	}
	for _, scheme := range []string{"Bearer ", "Basic ", "Token ", "Bearer", "Bearer Bearer ", "bearer  "} {
		add(http.MethodGet, "/api/v1/jobs", "", map[string]string{"Authorization": scheme + credential})
	}
	return all
}

// sendRaw sends what may be no HTTP at all, and waits for the end of the answer.
func sendRaw(t *testing.T, at, text string) {
	t.Helper()
	u, err := url.Parse(at)
	require.NoError(t, err)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", u.Host)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(conn, text)
	require.NoError(t, err)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	_, err = io.Copy(io.Discard, conn)
	require.NoError(t, err)
}

// enoughLines is how many lines of logs TestMain searches at least, in a run of all tests.
const enoughLines = 100_000

// load makes requests with credentials until there are enough lines of logs. It does not wait for
// an answer before the next request, and keeps one processor busy at most.
func load(t *testing.T, at string, credentials ...string) {
	t.Helper()
	u, err := url.Parse(at)
	require.NoError(t, err)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", u.Host)
	require.NoError(t, err)
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		_, _ = io.Copy(io.Discard, conn) // until it is closed
	}()
	var requests strings.Builder
	for _, credential := range credentials {
		requests.WriteString("GET /api/v1/jobs?limit=0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + credential + "\r\n\r\n")
	}
	for written.count() < enoughLines && err == nil {
		_, err = io.WriteString(conn, requests.String())
	}
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	<-answered
}
