package e2e

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/testdb"
)

// A flag is stronger than the environment, and that is stronger than the profile; a key goes only
// where it belongs, and nobody sees it.
func TestCommandLine_profiles(t *testing.T) {
	t.Parallel()
	service := payments(t)
	listener, requests := listen(t, service, func(w http.ResponseWriter, r *http.Request, proxy http.Handler, _ int) {
		r.Header.Del("Authorization")
		r.Header.Del("Punctual-Namespace")
		proxy.ServeHTTP(w, r)
	})
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "punctual"), 0o700))
	config := filepath.Join(dir, "punctual", "config.yaml")
	writeFile(t, filepath.Dir(config), "config.yaml", "current: one\nprofiles:\n"+
		"  one: { url: "+listener.URL+", key: hush-one, namespace: n1 }\n"+
		"  two: { url: "+listener.URL+"/, keyFile: two.key, namespace: n2 }\n"+
		"  far: { url: http://127.0.0.1:1, key: hush-far }\n")
	writeFile(t, filepath.Dir(config), "two.key", "hush-two\n")

	for _, step := range []struct {
		env, args      []string
		key, namespace string
	}{
		{nil, nil, "hush-one", "n1"},
		{[]string{"PUNCTUAL_PROFILE=two"}, nil, "hush-two", "n2"},
		{[]string{"PUNCTUAL_KEY=hush-env", "PUNCTUAL_NAMESPACE=n3"}, nil, "hush-env", "n3"},
		{[]string{"PUNCTUAL_KEY=hush-env"}, []string{"--key", "hush-flag"}, "hush-flag", "n1"},
		{[]string{"PUNCTUAL_KEY=hush-env"}, []string{"--profile", "two"}, "hush-two", "n2"},
		{[]string{"PUNCTUAL_PROFILE=far"}, []string{"--url", listener.URL}, "", ""},
	} {
		seen := len(requests())
		env := append([]string{"PUNCTUAL_URL=", "XDG_CONFIG_HOME=" + dir}, step.env...)
		got := service.punctual(t, env, append([]string{"jobs", "list"}, step.args...)...)
		require.Zero(t, got.code, got.err)
		require.NotContains(t, got.out+got.err, "hush")
		require.NotContains(t, got.err, "warning")
		asked := requests()[seen:]
		require.Len(t, asked, 1)
		require.Equal(t, step.key, strings.TrimPrefix(asked[0].Get("Authorization"), "Bearer "), "%+v", step)
		require.Equal(t, step.namespace, asked[0].Get("Punctual-Namespace"), "%+v", step)
	}
	require.NoError(t, os.Chmod(config, 0o644))
	require.Contains(t, service.punctual(t, []string{"PUNCTUAL_URL=", "XDG_CONFIG_HOME=" + dir}, "jobs", "list").err, "others can read the key")
	wrong := startWithKeys(t, testdb.New(t)).punctual(t, []string{"PUNCTUAL_KEY=hush-wrong"}, "jobs", "list")
	require.Equal(t, 1, wrong.code)
	require.Regexp(t, `^punctual: .*key`, wrong.err)
	require.NotContains(t, wrong.out+wrong.err, "hush")
	writeFile(t, filepath.Dir(config), "config.yaml", "key: [hush")
	broken := service.punctual(t, []string{"XDG_CONFIG_HOME=" + dir}, "jobs", "list")
	require.Equal(t, 3, broken.code)
	require.NotContains(t, broken.err, "hush")
	writeFile(t, filepath.Dir(config), "config.yaml", "current: a\nprofiles:\n  a: { ur: "+listener.URL+" }\n")
	mistyped := service.punctual(t, []string{"XDG_CONFIG_HOME=" + dir}, "jobs", "list")
	require.Equal(t, 3, mistyped.code, "no other service is asked instead")
	require.Contains(t, mistyped.err, "line 3")
}

// listen stands before a service. It notes the headers of each request and hands it to answer, with
// the number of the request.
func listen(
	t *testing.T, service instance, answer func(w http.ResponseWriter, r *http.Request, proxy http.Handler, n int),
) (listener *httptest.Server, requests func() []http.Header) {
	t.Helper()
	to, err := url.Parse(service.url)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(to)
	var mu sync.Mutex
	var asked []http.Header
	listener = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.Header.Clone())
		n := len(asked)
		mu.Unlock()
		answer(w, r, proxy, n)
	}))
	t.Cleanup(listener.Close)
	return listener, func() []http.Header {
		mu.Lock()
		defer mu.Unlock()
		return asked
	}
}

// A service that is not ready is asked again, with the same Idempotency-Key.
func TestCommandLine_asksAgain(t *testing.T) {
	t.Parallel()
	service := payments(t)
	listener, requests := listen(t, service, func(w http.ResponseWriter, r *http.Request, proxy http.Handler, n int) {
		if n > 1 {
			proxy.ServeHTTP(w, r)
			return
		}
		proxy.ServeHTTP(httptest.NewRecorder(), r) // this answer is lost
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	ran := service.punctual(t, nil, "jobs", "run", "payments/settle", "-o", "json", "--url", listener.URL)
	did := decoded[client.JobBulkResult](t, ran)
	require.Equal(t, 1, int(did.Changed))
	asked := requests()
	require.Len(t, asked, 2)
	require.NotEmpty(t, asked[0].Get("Idempotency-Key"))
	require.Equal(t, asked[0].Get("Idempotency-Key"), asked[1].Get("Idempotency-Key"))
	job := decoded[client.Job](t, service.punctual(t, nil, "jobs", "get", "payments/settle", "-o", "json"))
	require.Len(t, service.listRuns(t, job.Id), 1, "nothing was started twice")
}
