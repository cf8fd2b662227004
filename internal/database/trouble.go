package database

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"
)

// Trouble is a state of the database that is nobody's mistake in a request: trying again later may
// help.
type Trouble int

const (
	// NoTrouble means that the error has another cause.
	NoTrouble Trouble = iota
	// Unavailable means that the database cannot be reached, or is starting or stopping.
	Unavailable
	// Overloaded means that no connection was free, or that a statement took too long or waited too
	// long for a lock, or that the server is out of memory or connections.
	Overloaded
	// ReadOnly means that the server accepts no changes, for example because it is a standby.
	ReadOnly
	// Full means that the server's disk is full.
	Full
)

// Diagnose returns the trouble that err, of a statement or of a connection, tells of.
func Diagnose(err error) Trouble {
	if statement, ok := errors.AsType[*pgconn.PgError](err); ok {
		if trouble := diagnoseCode(statement.Code); trouble != NoTrouble {
			return trouble
		}
	}
	// Whatever the server's reason is: a database that accepts no connections, for example.
	if _, connect := errors.AsType[*pgconn.ConnectError](err); connect {
		return Unavailable
	}
	if errors.Is(err, context.DeadlineExceeded) { // before net.Error, which it is too
		return Overloaded
	}
	_, network := errors.AsType[net.Error](err)
	if network || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || pgconn.SafeToRetry(err) {
		return Unavailable
	}
	return NoTrouble
}

func diagnoseCode(code string) Trouble {
	switch {
	case code == pgerrcode.ReadOnlySQLTransaction:
		return ReadOnly
	case code == pgerrcode.DiskFull:
		return Full
	// A standby cancels a statement that keeps it from replaying with the last of these.
	case slices.Contains([]string{pgerrcode.LockNotAvailable, pgerrcode.QueryCanceled, pgerrcode.SerializationFailure}, code),
		pgerrcode.IsInsufficientResources(code):
		return Overloaded
	case pgerrcode.IsOperatorIntervention(code), pgerrcode.IsConnectionException(code):
		return Unavailable
	default:
		return NoTrouble
	}
}

// IsUniqueViolation reports whether a unique index has refused a row: there is one with its key.
func IsUniqueViolation(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return ok && refused.Code == pgerrcode.UniqueViolation
}
