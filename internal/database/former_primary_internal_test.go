package database

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A promotion ends the connections to the former primary, and lets no other begin.
func TestFormerPrimariesAreLeft(t *testing.T) {
	t.Parallel()
	here, there := net.Pipe()
	other, otherEnd := net.Pipe()
	for _, conn := range []net.Conn{here, there, other, otherEnd} {
		t.Cleanup(func() { _ = conn.Close() })
	}
	of := timelines{seen: map[string]string{}, links: map[*link]bool{}}
	former := &link{Conn: here, system: "1", timeline: "00000009"}
	require.True(t, of.note(former))
	elsewhere := &link{Conn: other, system: "2", timeline: "00000001"}
	require.True(t, of.note(elsewhere), "each cluster has timelines of its own")
	require.True(t, of.note(&link{system: "1", timeline: "0000000A"}))
	_, err := there.Read(make([]byte, 1))
	require.Error(t, err, "the connection to the former primary is closed")
	require.True(t, of.links[elsewhere])
	require.False(t, of.links[former])
	require.False(t, of.note(former))
}

// To cancel a statement of a server that is silent takes no longer than to connect to one.
func TestSilentServerDelaysNoCancelRequest(t *testing.T) {
	t.Parallel()
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	config, err := connConfig("postgres://nobody@" + silent.Addr().String() + "/none?connect_timeout=1")
	require.NoError(t, err)
	began := time.Now()
	conn, err := config.DialFunc(t.Context(), "tcp", silent.Addr().String()) // as pgx does it
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.GreaterOrEqual(t, time.Since(began), time.Second)
}
