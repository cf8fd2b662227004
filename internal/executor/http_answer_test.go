package executor

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStatusDecides(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		status int
		expect []int
		want   string // empty: success
	}{
		"200":                 {status: 200},
		"299":                 {status: 299},
		"302":                 {status: 302, want: "answered 302 Found"},
		"404":                 {status: 404, want: "answered 404 Not Found"},
		"500":                 {status: 500, want: "answered 500 Internal Server Error"},
		"no usual text":       {status: 599, want: "answered 599"},
		"404 as expected":     {status: 404, expect: []int{201, 404}},
		"302 as expected":     {status: 302, expect: []int{302}},
		"410 as expected":     {status: 410, expect: []int{410}},
		"200 not as expected": {status: 200, expect: []int{201}, want: "answered 200 OK"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(row.status)
				_, _ = w.Write([]byte("what it says"))
			})
			result, err := execute(t, server, fields{"expectStatus": row.expect}, nil)
			assert.Equal(t, row.status, result.StatusCode)
			assert.Equal(t, "what it says", result.Output, "the answer is kept, whatever the status")
			if row.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, row.want)
		})
	}
}

func TestGonePausesTheJob(t *testing.T) {
	t.Parallel()
	server := receiver(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) })
	_, err := execute(t, server, fields{}, nil)
	var failure *Failure
	require.ErrorAs(t, err, &failure)
	require.Equal(t, "the target answered 410 Gone", failure.PauseReason)
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                               0,
		"0":                              0,
		"120":                            2 * time.Minute,
		"-5":                             0,
		"1.5":                            0,
		"soon":                           0,
		"86400":                          maxRetryAfter,
		"86401":                          maxRetryAfter,
		"99999999999999999999":           maxRetryAfter,
		"9223372036854775807":            maxRetryAfter,
		"Mon, 23 Nov 2026 12:01:00 GMT":  time.Minute,
		"Monday, 23-Nov-26 12:01:00 GMT": time.Minute,
		"Mon Nov 23 12:01:00 2026":       time.Minute,
		"Mon, 23 Nov 2026 11:00:00 GMT":  0,
		"Sun, 23 Nov 2036 12:00:00 GMT":  maxRetryAfter,
	} {
		require.Equal(t, want, retryAfter(value, now), "Retry-After: %s", value)
	}
	for status, want := range map[int]time.Duration{429: 7 * time.Second, 503: 7 * time.Second, 500: 0} {
		server := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
		})
		_, err := execute(t, server, fields{}, nil)
		var failure *Failure
		require.ErrorAs(t, err, &failure)
		require.Equal(t, want, failure.RetryAfter, "after %d", status)
	}
}

func TestConnectionIsReusedWhenTheAnswerWasReadToItsEnd(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		size int
		want int32
	}{"read": {MaxOutput, 1}, "cut off": {2 * MaxOutput, 3}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var opened atomic.Int32
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write(make([]byte, row.size))
			}))
			server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					opened.Add(1)
				}
			}
			server.Start()
			t.Cleanup(server.Close)
			target := executor(t, server.Listener.Addr())
			for range 3 {
				_, err := target.Execute(t.Context(), newRun(t, fields{"url": server.URL}, nil))
				require.NoError(t, err)
			}
			require.Equal(t, row.want, opened.Load(), "connections for three runs")
		})
	}
}
