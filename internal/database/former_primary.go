package database

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ErrFormerPrimary says that a server is the primary of the past: another server with the same data
// has been promoted since.
var ErrFormerPrimary = errors.New("the server is a former primary: another one has been promoted since")

// timelines knows the connections of this process, and the highest timeline that it has seen of
// each cluster, by the system identifier that all servers of a cluster share. PostgreSQL begins a
// new timeline when a standby is promoted, or when a backup is restored up to an instant.
type timelines struct {
	mu    sync.Mutex
	seen  map[string]string
	links map[*link]bool
}

var known = timelines{seen: map[string]string{}, links: map[*link]bool{}}

// link is a network connection to a server that was the primary when it began.
type link struct {
	net.Conn
	system, timeline string
}

// Close closes the connection, and forgets it.
func (l *link) Close() error {
	known.mu.Lock()
	delete(known.links, l)
	known.mu.Unlock()
	return l.Conn.Close()
}

// note notes the timeline of the server that a link leads to, eight hexadecimal digits. It returns
// false if the process has seen a higher one of that cluster. If it is the highest, it closes the
// links to former primaries: what waits for an answer there gets an error.
func (t *timelines) note(l *link) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.timeline < t.seen[l.system] {
		return false
	}
	t.seen[l.system], t.links[l] = l.timeline, true
	for other := range t.links {
		if other.system == l.system && other.timeline < l.timeline {
			delete(t.links, other)
			go func() { _ = other.Conn.Close() }() // it may block, and nobody needs to know how it ended
		}
	}
	return true
}

// selectTimeline reads the identifier of the cluster, and the timeline on which the server writes:
// the first eight digits of the name of a log file. A standby writes on none.
const selectTimeline = `select system_identifier::text,
	case when not pg_is_in_recovery() then left(pg_walfile_name(pg_current_wal_lsn()), 8) end
	from pg_control_system()`

// noTimeline are the errors of a server that does not tell its timeline: it has no such functions,
// or only for others.
var noTimeline = []string{
	pgerrcode.UndefinedFunction, pgerrcode.InsufficientPrivilege, pgerrcode.FeatureNotSupported, pgerrcode.ObjectNotInPrerequisiteState,
}

// leaveFormerPrimaries refuses connections to a server that was the primary until another one was
// promoted, and ends those that there are. Such a server comes back without knowing it, and would
// answer. If the URL names several servers, the next one is tried. A process that has not seen the
// new primary cannot tell them apart: to keep a former primary from being written is the duty of
// who promotes another one.
func leaveFormerPrimaries(config *pgx.ConnConfig) {
	dial, next := config.DialFunc, config.ValidateConnect
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		// pgx also dials to cancel a statement, and the pool has no other connection in the place
		// of that statement's until the server has answered: a server that is silent must not delay
		// it.
		return &link{Conn: conn}, conn.SetDeadline(time.Now().Add(config.ConnectTimeout))
	}
	config.ValidateConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		if next != nil {
			if err := next(ctx, conn); err != nil {
				return err
			}
		}
		results, err := conn.Exec(ctx, selectTimeline).ReadAll()
		refused, isRefused := errors.AsType[*pgconn.PgError](err)
		if isRefused = isRefused && slices.Contains(noTimeline, refused.Code); err != nil && !isRefused {
			return fmt.Errorf("read the timeline: %w", err)
		}
		l := linkOf(conn)
		if l != nil {
			if err := l.SetDeadline(time.Time{}); err != nil {
				return fmt.Errorf("begin to use the connection: %w", err)
			}
		}
		if isRefused || l == nil || len(results) == 0 || len(results[0].Rows) == 0 || results[0].Rows[0][1] == nil {
			return nil // a standby, or a server that tells no timeline
		}
		l.system, l.timeline = string(results[0].Rows[0][0]), string(results[0].Rows[0][1])
		if !known.note(l) {
			return fmt.Errorf("%w (timeline %s); a restart of this process forgets that", ErrFormerPrimary, l.timeline)
		}
		return nil
	}
}

// linkOf returns the link under a connection, through TLS.
func linkOf(conn *pgconn.PgConn) *link {
	at := conn.Conn()
	if secured, ok := at.(interface{ NetConn() net.Conn }); ok {
		at = secured.NetConn()
	}
	l, _ := at.(*link)
	return l
}
