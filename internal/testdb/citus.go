package testdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"

	"punctual/internal/database"
)

// citusCell is the schema that each test has, which lives on one of the workers.
const citusCell = "cell"

// node is a node of a Citus cluster.
type node struct {
	Host string
	Port int
}

// NotOnCitus skips a test that needs a PostgreSQL of its own, and says why.
func NotOnCitus(tb testing.TB, why string) {
	tb.Helper()
	if os.Getenv("TEST_CITUS_URL") != "" {
		tb.Skip("not on Citus: " + why)
	}
}

// openCitus connects to the nodes of a cluster, of which TEST_CITUS_URL names the coordinator, and
// makes the template on each of them.
func (s *server) openCitus(address string) (err error) {
	if s.url, err = url.Parse(address); err != nil {
		return errors.New("TEST_CITUS_URL is not a URL")
	}
	s.template += "_citus"
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if s.admin, err = connect(ctx, address); err != nil {
		return err
	}
	rows, err := s.admin.Query(ctx, "select nodename as host, nodeport as port from pg_dist_node where isactive and groupid > 0 order by groupid")
	if err != nil {
		return fmt.Errorf("list the nodes of the cluster: %w", err)
	}
	workers, err := pgx.CollectRows(rows, pgx.RowToStructByName[node])
	if err == nil && len(workers) < 2 {
		err = errors.New("it has fewer than two workers")
	}
	if err != nil {
		return fmt.Errorf("list the nodes of the cluster: %w", err)
	}
	for _, n := range workers {
		pool, err := connect(ctx, at(s.url, n).String())
		if err != nil {
			return err
		}
		s.workers = append(s.workers, pool)
	}
	if err := s.ensureCitusTemplate(ctx, workers); err != nil {
		return fmt.Errorf("make the template of the test databases: %w", err)
	}
	return nil
}

// ensureCitusTemplate is ensureTemplate for a cluster: each node has a database, and that of the
// coordinator knows the others. A copy of all of them is a cluster, too.
func (s *server) ensureCitusTemplate(ctx context.Context, workers []node) (err error) {
	lock, err := pgx.Connect(ctx, s.url.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close(context.WithoutCancel(ctx))) }()
	if _, err := lock.Exec(ctx, "select pg_advisory_lock($1)", templateLock); err != nil {
		return err
	}
	if exists, err := databaseExists(ctx, lock, s.template); exists || err != nil {
		return err
	}
	port, err := strconv.Atoi(s.url.Port())
	if err != nil {
		return errors.New("TEST_CITUS_URL names no port")
	}
	coordinator := node{s.url.Hostname(), port}
	unfinished := s.template + "_unfinished"
	for _, sql := range []string{"drop database if exists " + quote(unfinished) + " with (force)", "create database " + quote(unfinished)} {
		if err := s.exec(ctx, sql); err != nil {
			return err
		}
	}
	for _, n := range workers {
		if err := join(ctx, withDatabase(at(s.url, n), unfinished)); err != nil {
			return err
		}
	}
	if err := lead(ctx, withDatabase(s.url, unfinished), coordinator, workers); err != nil {
		return err
	}
	if err := database.Migrate(ctx, inCell(s.url, unfinished), slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	for _, sql := range []string{
		"alter database " + quote(unfinished) + " with allow_connections false",
		"select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = '" + unfinished + "'",
		"drop database if exists " + quote(s.template), // somebody was killed between the workers and the coordinator
		"alter database " + quote(unfinished) + " rename to " + quote(s.template),
	} {
		if err := s.exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// join makes a database a node of a cluster.
func join(ctx context.Context, address string) (err error) {
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	_, err = conn.Exec(ctx, "create extension citus")
	return err
}

// lead makes a database the coordinator of others, and makes the cell.
func lead(ctx context.Context, address string, coordinator node, workers []node) (err error) {
	if err := join(ctx, address); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if _, err := conn.Exec(ctx, "select citus_set_coordinator_host($1, $2)", coordinator.Host, coordinator.Port); err != nil {
		return err
	}
	for _, n := range workers {
		if _, err := conn.Exec(ctx, "select citus_add_node($1, $2)", n.Host, n.Port); err != nil {
			return err
		}
	}
	if _, err := conn.Exec(ctx, "set citus.enable_schema_based_sharding = on"); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "create schema "+citusCell)
	return err
}

// at returns the URL of a node.
func at(server *url.URL, n node) *url.URL {
	u := *server
	u.Host = net.JoinHostPort(n.Host, strconv.Itoa(n.Port))
	return &u
}

// inCell returns the URL of the cell in a database.
func inCell(server *url.URL, name string) string {
	u := *server
	query := u.Query()
	query.Set("search_path", citusCell)
	u.RawQuery = query.Encode()
	return withDatabase(&u, name)
}
