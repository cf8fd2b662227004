package app_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"punctual/gen/client"
	"punctual/internal/app"
)

// dial opens a connection to the service, and writes to it.
func (i instance) dial(t *testing.T, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(i.url, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = conn.Write([]byte(text))
	require.NoError(t, err)
	return conn
}

// drip writes a space every so often until the connection is closed, and returns what was answered
// and after how long.
func drip(conn net.Conn) (answer string, after time.Duration) {
	began := time.Now()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		text, _ := io.ReadAll(conn) // an error means that the connection is closed, as its end does
		answer = string(text)
	}()
	each := time.NewTicker(200 * time.Millisecond)
	defer each.Stop()
	for {
		select {
		case <-ctx.Done():
			return answer, time.Since(began)
		case <-each.C:
			_, _ = conn.Write([]byte(" "))
		}
	}
}

// A client that sends its request drop by drop holds its connection for seconds only.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	service := setup(t, app.Config{Role: app.RoleAPI})
	strict := setup(t, app.Config{Role: app.RoleAPI, Auth: app.AuthRequired})
	const post = "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n"
	var clients errgroup.Group
	for _, c := range []struct {
		name, text, status string
		at                 instance
		within             time.Duration
	}{
		{"a header", "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow:", "", service, 20 * time.Second},
		{"a body", post + "\r\n{", "HTTP/1.1 400 ", service, 20 * time.Second},
		{"a body of a report", strings.Replace(post, "/jobs ", "/runs/0199c2f0-5b1e-7c3a-9d7e-3f1b2a4c5d6e/complete ", 1) + "\r\n{", "HTTP/1.1 400 ", service, 20 * time.Second},
		{"a body that nobody takes", strings.Replace(post, "POST /api/v1/jobs", "GET /livez", 1) + "\r\n", "HTTP/1.1 400 ", service, 20 * time.Second},
		{"a body without a key", post + "\r\n", "HTTP/1.1 401 ", strict, 5 * time.Second},
		{"a small body without a key", strings.Replace(post, "1000000", "1000", 1) + "\r\n", "HTTP/1.1 401 ", strict, 20 * time.Second},
		{"a body for nothing", strings.Replace(post, "/api/v1/jobs", "/api/v1/nothing", 1) + "\r\n", "HTTP/1.1 404 ", service, 5 * time.Second},
	} {
		conn := c.at.dial(t, c.text)
		clients.Go(func() error {
			answer, after := drip(conn)
			if !strings.HasPrefix(answer, c.status) {
				return fmt.Errorf("%s: answered %q", c.name, answer)
			}
			if after > c.within {
				return fmt.Errorf("%s: the connection was held for %s", c.name, after)
			}
			return nil
		})
	}
	require.NoError(t, clients.Wait())
}

// A body that is slow, but not too slow, arrives. So does the answer to a worker that waits longer
// than a body may take.
func TestSlowClients_steady(t *testing.T) {
	t.Parallel()
	service := setup(t, app.Config{Role: app.RoleAPI})
	body := append([]byte(`{"name":"slow","intervalInSeconds":60,"payload":"`), bytes.Repeat([]byte("x"), 1_030_000)...)
	body = append(body, `"}`...)
	conn := service.dial(t, fmt.Sprintf("POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", len(body)))
	each := time.NewTicker(100 * time.Millisecond)
	defer each.Stop()
	for began, sent := time.Now(), 0; sent < len(body); { // 100 kB/s for 10.3 s
		<-each.C
		n := min(len(body), int(time.Since(began).Seconds()*100_000))
		_, err := conn.Write(body[sent:n])
		require.NoError(t, err)
		sent = n
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, http.StatusCreated, answer.StatusCode)

	began := time.Now()
	lease, err := service.LeaseRunsWithResponse(t.Context(), "empty", client.LeaseRequest{WaitSeconds: new(int32(12))})
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, lease.StatusCode(), "%s", lease.Body)
	require.Greater(t, time.Since(began), 11*time.Second)
}

// Requests that are too many at once are refused. Probes and workers that wait are not among them.
func TestRequestsInFlight(t *testing.T) {
	t.Parallel()
	service := setup(t, app.Config{Role: app.RoleAPI, MaxRequestsInFlight: 2, APIConnections: 10})
	tx, err := service.db.BeginTx(t.Context(), pgx.TxOptions{})
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "lock table jobs in access exclusive mode")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var waiting, held errgroup.Group
	for range 5 {
		waiting.Go(func() error {
			_, err := service.LeaseRunsWithResponse(t.Context(), "empty", client.LeaseRequest{WaitSeconds: new(int32(5))})
			return err
		})
	}
	for range 2 {
		held.Go(func() error {
			_, err := service.ListJobsWithResponse(ctx, nil)
			return err
		})
	}
	var refused *client.ListJobsResponse
	require.Eventually(t, func() bool {
		brief, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		var err error
		refused, err = service.ListJobsWithResponse(brief, nil)
		return err == nil && refused.StatusCode() == http.StatusServiceUnavailable
	}, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, "overloaded", refused.ApplicationproblemJSON503.Code)
	require.Equal(t, "1", refused.HTTPResponse.Header.Get("Retry-After"))
	alive, err := service.GetLivenessWithResponse(t.Context())
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, alive.StatusCode(), "probes are answered")

	require.NoError(t, tx.Rollback(t.Context()))
	require.NoError(t, held.Wait())
	cancel()
	got, err := service.ListJobsWithResponse(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), "%s", got.Body)
	require.NoError(t, waiting.Wait())
}

// Beyond the bound, a connection waits until another one is closed.
func TestConnections(t *testing.T) {
	t.Parallel()
	service := setup(t, app.Config{Role: app.RoleAPI, MaxConnections: 2})
	const get = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
	answered := func(conn net.Conn, within time.Duration) bool {
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(within)))
		_, err := conn.Read(make([]byte, 1))
		return err == nil
	}
	first, second := service.dial(t, get), service.dial(t, get)
	require.True(t, answered(first, 10*time.Second))
	require.True(t, answered(second, 10*time.Second))
	third := service.dial(t, get)
	require.False(t, answered(third, 300*time.Millisecond), "there is no place")
	require.NoError(t, first.Close())
	require.True(t, answered(third, 10*time.Second), "there is one now")
}
