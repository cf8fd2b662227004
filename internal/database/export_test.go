package database

import (
	"database/sql"
	"net/url"

	"github.com/amacneil/dbmate/v2/pkg/dbmate"
)

// OpenDialect opens a database as migrations do.
func OpenDialect(u *url.URL) (*sql.DB, error) {
	return newDialect(dbmate.DriverConfig{DatabaseURL: u}).Open()
}
