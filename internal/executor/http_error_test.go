package executor

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestErrorsAreShort(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	encrypted := httptest.NewUnstartedServer(http.NotFoundHandler())
	encrypted.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // the client's rejection is no news
	encrypted.StartTLS()
	t.Cleanup(encrypted.Close)
	answering := func(answer string) (string, net.Addr) {
		return raw(t, func(conn net.Conn) { _, _ = io.WriteString(conn, answer) })
	}
	plain, plainAddr := answering("HTTP/1.1 400 Bad Request\r\n\r\n")
	silent, silentAddr := answering("")
	broken, brokenAddr := answering(ok + "X-A: ")
	strange, strangeAddr := answering("you said " + secretWord + "\r\n\r\n")
	for name, row := range map[string]struct {
		url  string
		addr net.Addr
		want string
	}{
		"refused by policy": {"http://127.0.0.2/", closed.Addr(), "the address is private or reserved, and not allowed; an operator can allow it with OUTBOUND_ALLOW_CIDRS"},
		"refused by host":   {"http://" + closed.Addr().String(), closed.Addr(), "the connection was refused"},
		"unknown authority": {encrypted.URL, encrypted.Listener.Addr(), "the certificate is not valid: x509: certificate signed by unknown authority"},
		"no TLS":            {strings.Replace(plain, "http:", "https:", 1), plainAddr, "what answers at this port does not speak TLS"},
		"no answer":         {silent, silentAddr, "the connection was closed before the answer was complete"},
		"half of headers":   {broken, brokenAddr, "the connection was closed before the answer was complete"},
		"no HTTP":           {strange, strangeAddr, "the request failed: malformed HTTP status code"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := newRun(t, fields{"url": row.url, "method": "GET"}, fields{"secretHeaders": fields{"X-Key": secretWord}})
			_, err := executor(t, row.addr).Execute(t.Context(), run)
			require.EqualError(t, err, row.want)
		})
	}
}

func TestNameWithoutAnAddress(t *testing.T) {
	t.Parallel()
	target := NewHTTP(HTTPConfig{Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("10.0.0.53 is away")
	}}})
	for url, want := range map[string]string{
		"http://name.test/": "the host could not be looked up",
		"http://no..name/": "the host has no address, or a private or reserved one that is not allowed; " +
			"an operator can allow that with OUTBOUND_ALLOW_CIDRS",
	} {
		_, err := target.Execute(t.Context(), newRun(t, fields{"url": url}, nil))
		require.EqualError(t, err, want, "%s", url)
	}
}

func TestDefinitionThatCannotBeReadIsFinal(t *testing.T) {
	t.Parallel()
	run := newRun(t, fields{"url": 1}, nil)
	_, err := NewHTTP(HTTPConfig{}).Execute(t.Context(), run)
	var failure *Failure
	require.ErrorAs(t, err, &failure)
	require.True(t, failure.IsFinal, "another attempt would not help")
}

func TestEndOfTheContextEndsTheAttempt(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	url, addr := raw(t, func(conn net.Conn) {
		cancel()
		_, _ = conn.Read(make([]byte, 1)) // until the other end closes
	})
	began := time.Now()
	_, err := executor(t, addr).Execute(ctx, newRun(t, fields{"url": url}, nil))
	require.Error(t, err)
	require.Less(t, time.Since(began), 5*time.Second, "it ends soon")
}
