package database

import (
	"database/sql"
	"net/url"

	"github.com/amacneil/dbmate/v2/pkg/dbmate"
	"github.com/jackc/pgx/v5"
)

// TimelineOf returns the timeline of a connection's server, and whether the connection is known as
// one that a promotion would end.
func TimelineOf(conn *pgx.Conn) (timeline string, isKnown func() bool) {
	l := linkOf(conn.PgConn())
	return l.timeline, func() bool {
		known.mu.Lock()
		defer known.mu.Unlock()
		return known.links[l]
	}
}

// OpenDialect opens a database as migrations do.
func OpenDialect(u *url.URL) (*sql.DB, error) {
	return newDialect(dbmate.DriverConfig{DatabaseURL: u}).Open()
}
