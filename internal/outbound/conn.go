package outbound

import (
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
)

// errStale is the error of a write to a connection that the server closed while it was idle.
// Nothing was written, so the request is sent on another connection.
var errStale = errors.New("the server closed the connection while it was idle")

// conn counts the bytes that are written to a connection. Before a request reuses the connection,
// conn checks whether it is stale: otherwise the request would be written, and nobody would know
// whether the server executed it.
type conn struct {
	net.Conn
	raw     syscall.RawConn
	written atomic.Int64
	// isToCheck is true from when a request takes the connection from the pool until its first
	// write.
	isToCheck atomic.Bool
	isStale   atomic.Bool
}

func newConn(c net.Conn) net.Conn {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return c
	}
	return &conn{Conn: c, raw: raw}
}

func (c *conn) Write(b []byte) (int, error) {
	if c.isToCheck.Swap(false) && isReadable(c.raw) {
		c.isStale.Store(true)
	}
	if c.isStale.Load() {
		return 0, errStale
	}
	n, err := c.Conn.Write(b)
	c.written.Add(int64(n))
	return n, err
}

// connOf returns the connection under one of net/http's, or nil if requests share it, as they do in
// HTTP/2.
func connOf(c net.Conn) *conn {
	if encrypted, ok := c.(*tls.Conn); ok {
		if encrypted.ConnectionState().NegotiatedProtocol == "h2" {
			return nil
		}
		c = encrypted.NetConn()
	}
	own, _ := c.(*conn)
	return own
}
