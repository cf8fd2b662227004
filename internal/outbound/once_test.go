package outbound

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rawServer reads requests, and hands each to answer with the connection and how many the
// connection had before. A connection is closed when answer returns false.
type rawServer struct {
	client   *Client
	url      string
	requests atomic.Int32
	closed   chan struct{} // one for each connection that the server has closed
}

func newRawServer(t *testing.T, scheme string, answer func(conn net.Conn, before int) bool) *rawServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	tcp, ok := listener.Addr().(*net.TCPAddr)
	require.True(t, ok)
	s := &rawServer{client: New(loopback(tcp.AddrPort().Port())), url: scheme + "://" + listener.Addr().String() + "/", closed: make(chan struct{}, 100)}
	accepting := listener
	if scheme == "https" {
		served := httptest.NewUnstartedServer(nil) // it lends its certificate
		served.StartTLS()
		t.Cleanup(served.Close)
		roots := x509.NewCertPool()
		roots.AddCert(served.Certificate())
		s.client.transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
		accepting = tls.NewListener(listener, &tls.Config{Certificates: served.TLS.Certificates, MinVersion: tls.VersionTLS12})
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := accepting.Accept()
			if err != nil {
				return // closed
			}
			serving.Go(func() { s.serve(conn, answer) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		s.client.transport.CloseIdleConnections()
		serving.Wait()
	})
	return s
}

func (s *rawServer) serve(conn net.Conn, answer func(conn net.Conn, before int) bool) {
	defer func() {
		_ = conn.Close()
		s.closed <- struct{}{}
	}()
	reader := bufio.NewReader(conn)
	for before := 0; ; before++ {
		req, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		s.requests.Add(1)
		if !answer(conn, before) {
			return
		}
	}
}

const noContent = "HTTP/1.1 204 No Content\r\n\r\n"

// request sends one with an Idempotency-Key, which net/http takes for leave to repeat it.
func (s *rawServer) request(t *testing.T, method, content string) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url, strings.NewReader(content))
	require.NoError(t, err)
	req.Header.Set("Idempotency-Key", "1")
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

var everyKind = map[string]struct{ method, content string }{
	"POST":                {http.MethodPost, "a"},
	"POST without a body": {http.MethodPost, ""},
	"PUT":                 {http.MethodPut, strings.Repeat("a", 100_000)},
	"DELETE":              {http.MethodDelete, ""},
	"GET":                 {http.MethodGet, ""},
	"HEAD":                {http.MethodHead, ""},
}

func TestRequestIsSentOnce(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"http", "https"} {
		for name, row := range everyKind {
			t.Run(scheme+" "+name, func(t *testing.T) {
				t.Parallel()
				server := newRawServer(t, scheme, func(conn net.Conn, before int) bool {
					if before > 0 {
						return false // as a server does that is killed while it executes the request
					}
					_, err := io.WriteString(conn, noContent)
					return err == nil
				})
				require.NoError(t, server.request(t, row.method, row.content), "the first one opens the connection")
				require.ErrorIs(t, server.request(t, row.method, row.content), io.ErrUnexpectedEOF)
				require.EqualValues(t, 2, server.requests.Load(), "requests that the server has read")
			})
		}
	}
}

func TestIdleConnectionThatWasClosedCostsNothing(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"http", "https"} {
		for name, row := range everyKind {
			t.Run(scheme+" "+name, func(t *testing.T) {
				t.Parallel()
				server := newRawServer(t, scheme, func(conn net.Conn, _ int) bool {
					_, err := io.WriteString(conn, noContent)
					assert.NoError(t, err)
					return false // though the answer did not say so
				})
				for range 20 {
					require.NoError(t, server.request(t, row.method, row.content))
					<-server.closed
				}
				require.EqualValues(t, 20, server.requests.Load())
			})
		}
	}
}

func TestNothingIsWrittenToAStaleConnection(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(server *net.TCPConn) error{
		"closed": func(server *net.TCPConn) error { return server.Close() },
		"reset": func(server *net.TCPConn) error {
			require.NoError(t, server.SetLinger(0))
			return server.Close()
		},
		"answered": func(server *net.TCPConn) error {
			_, err := io.WriteString(server, "HTTP/1.1 408 Request Timeout\r\n\r\n")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			t.Cleanup(func() { _ = listener.Close() })
			dialed, err := net.Dial("tcp", listener.Addr().String())
			require.NoError(t, err)
			t.Cleanup(func() { _ = dialed.Close() })
			server, err := listener.Accept()
			require.NoError(t, err)
			t.Cleanup(func() { _ = server.Close() })
			client := newConn(dialed).(*conn)

			client.isToCheck.Store(true)
			_, err = client.Write([]byte("a"))
			require.NoError(t, err, "it is alive")
			_, err = server.Read(make([]byte, 1))
			require.NoError(t, err)

			require.NoError(t, end(server.(*net.TCPConn)))
			require.Eventually(t, func() bool { return isReadable(client.raw) }, 5*time.Second, time.Millisecond)
			client.isToCheck.Store(true)
			for range 2 { // the second is what TLS says when it closes
				_, err = client.Write([]byte("a"))
				require.ErrorIs(t, err, errStale)
			}
			require.EqualValues(t, 1, client.written.Load())
		})
	}
}
