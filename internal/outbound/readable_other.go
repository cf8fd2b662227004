//go:build !unix

package outbound

import "syscall"

// isReadable cannot be implemented here. A request on a stale connection fails.
func isReadable(syscall.RawConn) bool { return false }
