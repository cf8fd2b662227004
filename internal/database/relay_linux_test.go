package database_test

import (
	"io"
	"net"
	"net/url"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// relay forwards connections to a server. It can behave like a server whose machine has lost its
// power: what arrives is not even acknowledged, and nobody is told.
type relay struct {
	listener *net.TCPListener
	mu       sync.Mutex
	conns    []*net.TCPConn
}

// startRelay returns a relay in front of a database, and the database's URL by way of it.
func startRelay(t *testing.T, database string) (*relay, string) {
	t.Helper()
	config, err := pgx.ParseConfig(database)
	require.NoError(t, err)
	var plain net.ListenConfig
	plain.SetMultipathTCP(false) // its sockets take no filter
	listener, err := plain.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &relay{listener: listener.(*net.TCPListener)}
	t.Cleanup(r.close)
	go func() {
		for {
			conn, err := r.listener.AcceptTCP()
			if err != nil {
				return // the test has ended
			}
			server, err := net.Dial(pgconn.NetworkAddress(config.Host, config.Port))
			if err != nil {
				_ = conn.Close()
				continue
			}
			r.mu.Lock()
			r.conns = append(r.conns, conn)
			r.mu.Unlock()
			go pass(server, conn)
			go pass(conn, server)
		}
	}()
	u, err := url.Parse(database)
	require.NoError(t, err)
	u.Host = listener.Addr().String()
	return r, u.String()
}

// pass copies from one end to the other until the first one ends.
func pass(to io.WriteCloser, from io.Reader) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
}

// fallSilent silences all existing connections for ever, and new ones get nowhere.
func (r *relay) fallSilent(t *testing.T) {
	t.Helper()
	drop(t, r.listener)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, conn := range r.conns {
		drop(t, conn)
	}
}

// recover lets new connections work again, as if another server had taken the silent one's place.
func (r *relay) recover(t *testing.T) {
	t.Helper()
	control(t, r.listener, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0) })
}

func (r *relay) close() {
	_ = r.listener.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, conn := range r.conns {
		_ = conn.Close()
	}
}

// drop makes the kernel drop whatever arrives at a socket, before it acknowledges it.
func drop(t *testing.T, socket syscall.Conn) {
	t.Helper()
	nothing := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K} // takes zero bytes of a packet
	control(t, socket, func(fd int) error {
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &nothing})
	})
}

func control(t *testing.T, socket syscall.Conn, set func(fd int) error) {
	t.Helper()
	raw, err := socket.SyscallConn()
	require.NoError(t, err)
	var refused error
	require.NoError(t, raw.Control(func(fd uintptr) { refused = set(int(fd)) }))
	require.NoError(t, refused, "the kernel takes the filter")
}
