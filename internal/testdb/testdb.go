// Package testdb gives each test a migrated PostgreSQL database of its own. For tests only.
//
// The server is the one that TEST_DATABASE_URL names. Without it, each test process starts a server
// through the command testserver, which stops the server after the process, however the process
// ends. Several packages are tested faster inside one testserver: go run
// ./internal/testdb/testserver -- go test ./...
package testdb

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/internal/testdb/internal/launch"
)

const (
	// startTimeout bounds creating the template. The start of the server has limits of its own.
	startTimeout = time.Minute
	cloneTimeout = time.Minute
	// adminConnections bounds how many connections one test process uses in addition to those of
	// its tests.
	adminConnections = 4
)

// server is the server that all tests of this process share.
type server struct {
	url      *url.URL
	admin    *pgxpool.Pool
	template string
	// workers are the other nodes of a Citus cluster; empty: the server is a PostgreSQL of its own.
	workers []*pgxpool.Pool
	process *launch.Server // nil when the server is not ours; held, because the server ends when this is collected
}

var shared = sync.OnceValues(open)

// New returns the URL of a new, migrated database, which is dropped when the test ends. The test
// fails if there is no server.
func New(tb testing.TB) string {
	tb.Helper()
	s, err := shared()
	if err != nil {
		tb.Fatalf("no PostgreSQL for this test: %v", err)
	}
	// Cloning through the log costs no checkpoint. Copying the files costs two, which takes half as
	// long again.
	name := "punctual_test_" + strings.ToLower(rand.Text())
	if err := s.exec(tb.Context(), "create database "+quote(name)+" template "+quote(s.template)+" strategy wal_log"); err != nil {
		tb.Fatalf("make a test database: %v", err)
	}
	tb.Cleanup(func() {
		// Dropped with force, since a failed test may have left connections open.
		if err := s.exec(context.WithoutCancel(tb.Context()), "drop database if exists "+quote(name)+" with (force)"); err != nil {
			tb.Errorf("drop the test database: %v", err)
		}
	})
	if len(s.workers) > 0 {
		return inCell(s.url, name)
	}
	return withDatabase(s.url, name)
}

// exec executes a statement on the server, or on each node of the cluster.
func (s *server) exec(ctx context.Context, sql string) error {
	ctx, cancel := context.WithTimeout(ctx, cloneTimeout)
	defer cancel()
	for _, node := range append(slices.Clone(s.workers), s.admin) { // a database that the coordinator has is everywhere
		if _, err := node.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

func open() (*server, error) {
	s := &server{template: templateName()}
	if cluster := os.Getenv("TEST_CITUS_URL"); cluster != "" {
		return s, s.openCitus(cluster)
	}
	address := os.Getenv("TEST_DATABASE_URL")
	if address == "" || cmp.Or(os.Getenv("TEST_DATABASE_PROVIDER"), "url") != "url" {
		// No context may end the server: all tests use it, and it ends with the process.
		process, err := launch.Start(exec.CommandContext(context.Background(), "go", "run", "punctual/internal/testdb/testserver"))
		if err != nil {
			return nil, err
		}
		s.process, address = process, process.URL
	}

	var err error
	if s.url, err = url.Parse(address); err != nil {
		return nil, errors.New("TEST_DATABASE_URL is not a URL") // url.Parse would repeat it, password and all
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if s.admin, err = connect(ctx, address); err != nil {
		return nil, err
	}
	if err := ensureTemplate(ctx, s.url, s.template); err != nil {
		return nil, fmt.Errorf("make the template of the test databases: %w", err)
	}
	return s, nil
}

// connect opens a small pool on the database of the server's URL, in which no test works.
func connect(ctx context.Context, address string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, fmt.Errorf("TEST_DATABASE_URL: %w", err)
	}
	config.MaxConns = adminConnections
	config.ConnConfig.RuntimeParams["application_name"] = "punctual testdb"
	return pgxpool.NewWithConfig(ctx, config)
}

func withDatabase(server *url.URL, name string) string {
	u := *server
	u.Path = "/" + name
	return u.String()
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
