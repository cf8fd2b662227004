package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strings"
	"sync"

	"github.com/amacneil/dbmate/v2/pkg/dbmate"
	"github.com/amacneil/dbmate/v2/pkg/driver/postgres"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// dialectName is the name under which dbmate knows dialect.
const dialectName = "punctual"

var registerDialect = sync.OnceFunc(func() { dbmate.RegisterDriver(newDialect, dialectName) })

// dialect is dbmate's dialect of PostgreSQL with two differences: it connects as the service does,
// so that a URL means the same to both, and it sends each statement of a migration alone, because
// Citus does not take several at once. A migration still is one transaction: one that fails leaves
// nothing behind, and can be tried again.
type dialect struct {
	dbmate.Driver
	url string
}

func newDialect(c dbmate.DriverConfig) dbmate.Driver {
	return dialect{Driver: postgres.NewDriver(c), url: c.DatabaseURL.String()}
}

// Open returns a connection pool for database/sql.
func (d dialect) Open() (*sql.DB, error) {
	config, err := connConfig(d.url)
	if err != nil {
		return nil, err
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	return sql.OpenDB(connector{stdlib.GetConnector(*config)}), nil
}

type connector struct{ driver.Connector }

// Connect returns a connection that sends each statement alone.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return singleStatements{conn.(*stdlib.Conn)}, nil
}

type singleStatements struct{ *stdlib.Conn }

// ExecContext executes the statements of a script one after the other, and returns the result of
// the last one.
func (c singleStatements) ExecContext(ctx context.Context, script string, args []driver.NamedValue) (driver.Result, error) {
	if len(args) > 0 {
		return c.Conn.ExecContext(ctx, script, args)
	}
	var result driver.Result = driver.RowsAffected(0)
	for _, statement := range statements(script) {
		var err error
		if result, err = c.Conn.ExecContext(ctx, statement, nil); err != nil {
			return nil, fmt.Errorf("%w, in the statement %q", err, firstLine(statement))
		}
	}
	return result, nil
}

// firstLine returns the first line of a statement after its comments.
func firstLine(statement string) string {
	for line := range strings.Lines(statement) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "--") {
			return line
		}
	}
	return statement
}
