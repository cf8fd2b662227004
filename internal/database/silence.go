package database

import (
	"cmp"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
)

// silence is how long a server may be silent before its connections are given up. When it has vanished without a word, with its
// machine or with the network on the way, a statement would otherwise wait for a quarter of an hour. A lease lasts less, so that
// nothing is lost by giving up that was not lost before. It bounds no statement: the machine of a server that is busy answers.
const silence = 10 * time.Second

// limitSilence bounds by silence how long connections may take to be made, unless the url says that, how long what was sent may
// be unacknowledged, and, by probes, how long nothing may come where nothing is sent.
func limitSilence(config *pgx.ConnConfig) {
	config.ConnectTimeout = cmp.Or(config.ConnectTimeout, silence)
	config.DialFunc = (&net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: silence / 2, Interval: silence / 4, Count: 2},
		Control:         limitUnacknowledged,
	}).DialContext
}

// Locking is for transactions that lock what others need: it has the server end one that has not been heard of for as long as
// silence, and so give back the locks of an instance that was cut off in the middle. It is part of "begin", which costs no round
// trip, and of this transaction only, so that a pooler in transaction mode does not carry it over to others.
var Locking = pgx.TxOptions{
	BeginQuery: fmt.Sprintf("begin; set local idle_in_transaction_session_timeout = %d", silence.Milliseconds()),
}
