package database

import (
	"net"
	"testing"

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
