package executor

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// redirector starts a server that redirects each request to what to returns.
func redirector(t *testing.T, status int, to func(*http.Request) string) *httptest.Server {
	t.Helper()
	return receiver(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", to(r))
		w.WriteHeader(status)
	})
}

func TestRedirectsKeepTheMethodTheBodyAndOnTheSameHostTheSecrets(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 307, 308} {
		var hops atomic.Int32
		last := make(chan received, 1)
		server := receiver(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/end" {
				hops.Add(1)
				http.Redirect(w, r, "/end#part", status)
				return
			}
			body, _ := io.ReadAll(r.Body)
			last <- received{r, string(body)}
		})
		h, _ := connected(t, Connection{
			BaseURL: server.URL, SigningSecrets: []string{oldSecret}, Auth: ConnectionAuth{Type: AuthBearer, Token: "t0ken"},
		}, nil, server.Listener.Addr())
		result, err := through(t, h, fields{"followRedirects": true}, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, result.StatusCode)
		request := <-last
		assert.Equal(t, http.MethodPost, request.Method)
		assert.JSONEq(t, `{"to":"you"}`, request.body)
		assert.Equal(t, "Bearer t0ken", request.Header.Get("Authorization"))
		assert.NotEmpty(t, request.Header.Get("Webhook-Signature"))
		assert.Equal(t, int32(1), hops.Load())
	}
}

// Another host gets no secret, and neither does the first one if the other sends the request back.
func TestSecretsGoToNoOtherHost(t *testing.T) {
	t.Parallel()
	for name, isBack := range map[string]bool{"elsewhere": false, "elsewhere and back": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			last := make(chan *http.Request, 1)
			var home, other *httptest.Server
			other = receiver(t, func(w http.ResponseWriter, r *http.Request) {
				if isBack {
					http.Redirect(w, r, home.URL+"/end", http.StatusTemporaryRedirect)
					return
				}
				last <- r
			})
			home = receiver(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/end" {
					last <- r
					return
				}
				http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
			})
			h, _ := connected(t, Connection{
				BaseURL: home.URL, Headers: map[string]string{"X-Open": "1"}, SecretHeaders: map[string]string{"X-Key": "k3y"},
				SigningSecrets: []string{oldSecret}, Auth: ConnectionAuth{Type: AuthBearer, Token: "t0ken"},
			}, nil, home.Listener.Addr(), other.Listener.Addr())
			_, err := through(t, h, fields{"followRedirects": true}, fields{"secretHeaders": fields{"x-own": "s3cret"}})
			require.NoError(t, err)
			request := <-last
			for _, header := range []string{"Authorization", "X-Key", "X-Own", "Webhook-Signature", "Webhook-Id", "Webhook-Timestamp"} {
				assert.Empty(t, request.Header.Get(header), header)
			}
			assert.Equal(t, "1", request.Header.Get("X-Open"))
			assert.Equal(t, runID.String(), request.Header.Get("Idempotency-Key"))
		})
	}
}

func TestRedirectsAreJudgedLikeTheFirstURL(t *testing.T) {
	t.Parallel()
	for to, want := range map[string]string{
		"http://169.254.169.254/latest": "after a redirect: the address is private or reserved, and not allowed; " +
			"an operator can allow it with OUTBOUND_ALLOW_CIDRS",
		"http://127.0.0.1:1/":         "after a redirect: the port is not allowed; an operator can allow it with OUTBOUND_ALLOW_PORTS",
		"file:///etc/passwd":          "after a redirect: the URL must begin with http:// or https://",
		"http://user:pw@example.com/": "after a redirect: the URL must not contain credentials",
		"http://%zz/":                 "the redirect does not lead to a valid URL",
	} {
		server := redirector(t, http.StatusFound, func(*http.Request) string { return to })
		_, err := execute(t, server, fields{"followRedirects": true}, nil)
		require.EqualError(t, err, want, to)
	}
}

func TestRedirectsEnd(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	server := redirector(t, http.StatusFound, func(r *http.Request) string {
		requests.Add(1)
		hop, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		return "/" + strconv.Itoa(hop+1)
	})
	_, err := execute(t, server, fields{"followRedirects": true}, nil)
	require.EqualError(t, err, "there were more than 5 redirects")
	require.Equal(t, int32(6), requests.Load())
}

func TestRedirectsThatAreNotFollowed(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		status     int
		definition fields
		want       string // empty: success
	}{
		"not asked for":       {302, fields{}, "answered 302 Found"},
		"expected":            {302, fields{"followRedirects": true, "expectStatus": []int{302}}, ""},
		"the request is done": {303, fields{"followRedirects": true}, "answered 303 See Other"},
		"not modified":        {304, fields{"followRedirects": true, "method": "GET"}, "answered 304 Not Modified"},
	} {
		var requests atomic.Int32
		server := redirector(t, row.status, func(*http.Request) string {
			requests.Add(1)
			return "/next"
		})
		result, err := execute(t, server, row.definition, nil)
		require.Equal(t, row.status, result.StatusCode, name)
		require.Equal(t, int32(1), requests.Load(), name)
		if row.want == "" {
			require.NoError(t, err, name)
		} else {
			require.EqualError(t, err, row.want, name)
		}
	}
}

func TestRetryOn(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		retryOn any
		isFinal bool
	}{
		"all":         {nil, false},
		"this status": {[]int{429, 503}, false},
		"others":      {[]int{500}, true},
		"none":        {[]int{}, true},
	} {
		server := receiver(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
		_, err := execute(t, server, fields{"retryOn": row.retryOn}, nil)
		var failure *Failure
		require.ErrorAs(t, err, &failure, name)
		require.Equal(t, row.isFinal, failure.IsFinal, name)
		require.False(t, failure.IsUnreachable, name)
	}
	closed := receiver(t, func(http.ResponseWriter, *http.Request) {})
	closed.Close()
	_, err := execute(t, closed, fields{"retryOn": []int{}}, nil)
	var failure *Failure
	require.ErrorAs(t, err, &failure)
	require.False(t, failure.IsFinal, "without an answer, it is tried again")
	require.True(t, failure.IsUnreachable)

	at := NewHTTP(HTTPConfig{})
	_, err = at.Execute(t.Context(), newRun(t, fields{"url": "http://169.254.169.254/"}, nil))
	require.ErrorAs(t, err, &failure)
	require.False(t, failure.IsUnreachable, "an address that is refused was not called")
}
