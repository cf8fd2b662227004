//go:build unix

package outbound

import "syscall"

// isReadable reports whether a read would return at once. A server sends nothing on an idle connection but its end, or an
// answer to no request, after which the connection is of no use either. Nothing is read.
func isReadable(raw syscall.RawConn) bool {
	isReadable := false
	err := raw.Control(func(fd uintptr) {
		var next [1]byte
		_, _, err := syscall.Recvfrom(int(fd), next[:], syscall.MSG_PEEK) // net's sockets do not block
		isReadable = err == nil || err != syscall.EAGAIN && err != syscall.EINTR
	})
	return err != nil || isReadable
}
