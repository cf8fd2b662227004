package database

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// silence is how long a server may be silent before its connections are given up. If the server's
// machine or the network has failed, a statement would otherwise wait for a quarter of an hour. The
// instance's lease lasts less than this, so giving up loses nothing that was not lost before. It
// bounds no statement: the machine of a busy server still acknowledges.
const silence = 10 * time.Second

// silenceOfOne is how long it may take to connect to one of several servers. A renewal of the lease
// takes up to three seconds, in which another one has to be found.
const silenceOfOne = 2 * time.Second

// limitSilence applies the limit to connecting (unless the URL has connect_timeout), to data that
// is not acknowledged, and, by keep-alive probes, to idle connections.
func limitSilence(config *pgx.ConnConfig) {
	connectWithin := silence
	if slices.ContainsFunc(config.Fallbacks, func(other *pgconn.FallbackConfig) bool {
		return other.Host != config.Host || other.Port != config.Port
	}) {
		connectWithin = silenceOfOne
	}
	config.ConnectTimeout = cmp.Or(config.ConnectTimeout, connectWithin)
	config.DialFunc = (&net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: silence / 2, Interval: silence / 4, Count: 2},
		Control:         limitUnacknowledged,
	}).DialContext
}

// Locking is for transactions that lock rows of others. The server ends such a transaction if its
// client has been silent for the time above, and so releases the locks of an instance that was cut
// off. The setting is part of "begin", which costs no round trip, and it ends with the transaction,
// so that a pooler in transaction mode does not pass it on to other clients. Whatever the default
// of the database is, each statement sees what was committed before it: also what a lock waited
// for.
var Locking = pgx.TxOptions{BeginQuery: strings.Join(beginLocking, "; ")}

// beginLocking are the statements that begin such a transaction.
var beginLocking = []string{
	"begin isolation level read committed",
	fmt.Sprintf("set local idle_in_transaction_session_timeout = %d", silence.Milliseconds()),
}
