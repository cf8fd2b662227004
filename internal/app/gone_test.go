package app_test

import (
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/internal/app"
)

// A client that sends no more may still read. What was cut off because of that is not answered with
// success.
func TestClientThatHasGoneIsToldNoSuccess(t *testing.T) {
	t.Parallel()
	service := setup(t, app.Config{Role: app.RoleAPI})
	tx, err := service.db.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	_, err = tx.Exec(t.Context(), "lock table jobs in access exclusive mode")
	require.NoError(t, err)
	conn := service.dial(t, "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"+
		"Content-Length: 37\r\n\r\n"+`{"name":"gone","intervalInSeconds":9}`)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Empty(t, string(answer))
	require.NoError(t, tx.Rollback(t.Context()))
}
