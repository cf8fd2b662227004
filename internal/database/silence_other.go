//go:build !linux

package database

import "syscall"

// limitUnacknowledged does nothing: only Linux has the limit.
func limitUnacknowledged(_, _ string, _ syscall.RawConn) error { return nil }
