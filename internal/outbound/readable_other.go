//go:build !unix

package outbound

import "syscall"

// isReadable never knows: a request that meets the end of its connection fails.
func isReadable(syscall.RawConn) bool { return false }
