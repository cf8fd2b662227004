package outbound

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	const atATime = 64
	var opened atomic.Int32
	arrived, answer := make(chan struct{}), make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/together" {
			arrived <- struct{}{}
			<-answer
		}
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	client := New(loopback(portOf(t, server)))
	together := func() {
		var requests sync.WaitGroup
		for range atATime {
			requests.Go(func() {
				_, err := get(t, client, server.URL+"/together")
				assert.NoError(t, err)
			})
		}
		for range atATime {
			<-arrived
		}
		for range atATime {
			answer <- struct{}{}
		}
		requests.Wait()
	}
	together()
	require.EqualValues(t, atATime, opened.Load(), "one connection for each request that had none")
	together()
	for range atATime {
		_, err := get(t, client, server.URL)
		require.NoError(t, err)
	}
	require.EqualValues(t, atATime, opened.Load(), "none for those that came later")
}

func TestHTTP2AnswerThatIsNotReadIsNotSent(t *testing.T) {
	t.Parallel()
	sent, gone := make(chan struct{}), make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		defer close(gone)
		if _, err := w.Write(make([]byte, 1<<20)); err == nil {
			close(sent)
		}
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	client := New(loopback(portOf(t, server)))
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	client.transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
	require.NoError(t, err)
	resp, err := client.Do(req)
	require.NoError(t, err)
	require.Equal(t, 2, resp.ProtoMajor, "HTTP/2 where the server speaks it")
	select {
	case <-sent:
		require.Fail(t, "1 MiB was sent before any of it was read")
	case <-time.After(200 * time.Millisecond):
	}
	require.NoError(t, resp.Body.Close())
	<-gone
}

func TestSwitchOfProtocolsIsAnError(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if !assert.NoError(t, err) {
			return
		}
		defer func() { _ = conn.Close() }()
		_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		assert.NoError(t, err)
		_, _ = conn.Read(make([]byte, 1)) // until the client closes it
	}))
	t.Cleanup(server.Close)
	_, err := get(t, New(loopback(portOf(t, server))), server.URL)
	require.ErrorIs(t, err, errProtocolSwitch)
}
