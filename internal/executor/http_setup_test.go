package executor

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// executor returns an executor that can call this machine at the address.
func executor(t *testing.T, addr net.Addr) *HTTP {
	t.Helper()
	tcp, ok := addr.(*net.TCPAddr)
	require.True(t, ok, "an address of TCP")
	return NewHTTP(HTTPConfig{
		AllowCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		AllowPorts: []uint16{tcp.AddrPort().Port()},
	})
}

// receiver starts a server that ends with the test.
func receiver(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// fields are the fields of a target's definition, or of its secrets.
type fields map[string]any

func (f fields) json(t *testing.T) json.RawMessage {
	t.Helper()
	encoded, err := json.Marshal(f)
	require.NoError(t, err)
	return encoded
}

var (
	runID     = uuid.MustParse("019ab1c2-d3e4-7f56-8a9b-0c1d2e3f4a5b")
	jobID     = uuid.MustParse("019ab1c2-0000-7000-8000-000000000001")
	scheduled = time.Date(2026, 11, 23, 12, 0, 0, 120_000_000, time.FixedZone("east", 60*60))
)

func newRun(t *testing.T, definition, secrets fields) Run {
	t.Helper()
	run := Run{
		ID: runID, JobID: jobID, Namespace: "payments", JobName: "report", ScheduledFor: scheduled, Attempt: 2,
		Payload: json.RawMessage(`{"to":"you"}`), Definition: definition.json(t),
	}
	if secrets != nil {
		run.Secrets = secrets.json(t)
	}
	return run
}

// execute makes an attempt with a deadline of ten seconds.
func execute(t *testing.T, server *httptest.Server, definition, secrets fields) (*Result, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if definition["url"] == nil {
		definition["url"] = server.URL
	}
	return executor(t, server.Listener.Addr()).Execute(ctx, newRun(t, definition, secrets))
}

// received is a request and its body.
type received struct {
	*http.Request
	body string
}

// record starts a server that answers 204 and passes on what it received.
func record(t *testing.T) (*httptest.Server, <-chan received) {
	t.Helper()
	requests := make(chan received, 1)
	return receiver(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what is missing is seen in the request
		requests <- received{r, string(body)}
		w.WriteHeader(http.StatusNoContent)
	}), requests
}

// raw starts a receiver that is no HTTP server. It reads the beginning of a request and calls
// answer, which may write anything.
func raw(t *testing.T, answer func(conn net.Conn)) (url string, addr net.Addr) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			_, _ = conn.Read(make([]byte, 4096)) // whatever it was
			answer(conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-served
	})
	return "http://" + listener.Addr().String(), listener.Addr()
}

const ok = "HTTP/1.1 200 OK\r\n"

// secretWord is a secret with characters that are escaped in JSON, URLs and HTML.
var secretWord = strings.Repeat("x7/\"é<&+", 4)
