//go:build unix

package outbound

import "syscall"

// isReadable reports whether a read would return at once: the server closed the idle connection, or
// sent something without a request, after which it cannot be used either. Nothing is consumed.
func isReadable(raw syscall.RawConn) bool {
	isReadable := false
	err := raw.Control(func(fd uintptr) {
		var next [1]byte
		_, _, err := syscall.Recvfrom(int(fd), next[:], syscall.MSG_PEEK) // net's sockets do not block
		isReadable = err == nil || err != syscall.EAGAIN && err != syscall.EINTR
	})
	return err != nil || isReadable
}
