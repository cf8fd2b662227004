//go:build chaos

package chaos

import (
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/internal/testdb"
)

// onCitus returns a system whose tables are on one of the workers of the cluster that
// TEST_CITUS_URL names, with two instances.
func onCitus(t *testing.T) *system {
	t.Helper()
	if os.Getenv("TEST_CITUS_URL") == "" {
		t.Skip("TEST_CITUS_URL names no cluster")
	}
	s := &system{url: testdb.New(t)}
	var err error
	s.db, err = pgxpool.New(t.Context(), s.url)
	require.NoError(t, err)
	t.Cleanup(s.db.Close)
	s.add(t)
	s.add(t)
	s.load(t)
	return s
}

// place returns where the tables are, and a worker where they are not.
func (s *system) place(t *testing.T) (at, other int) {
	t.Helper()
	require.NoError(t, s.db.QueryRow(t.Context(), "select nodeport from citus_shards where table_name = 'due'::regclass").Scan(&at))
	require.NoError(t, s.db.QueryRow(t.Context(),
		"select nodeport from pg_dist_node where shouldhaveshards and nodeport <> $1 limit 1", at).Scan(&other))
	return at, other
}

// Citus moves a cell from one worker to the other and back, while it executes runs.
func TestCitus_moves(t *testing.T) {
	s := onCitus(t)
	for range 2 {
		_, other := s.place(t)
		begun, at := time.Now(), s.now(t)
		_, err := s.db.Exec(t.Context(), "select citus_schema_move(current_schema()::regnamespace, nodename, nodeport, 'force_logical') from pg_dist_node where nodeport = $1", other)
		require.NoError(t, err)
		t.Logf("the cell was moved in %v", time.Since(begun).Round(time.Millisecond))
		s.faults = append(s.faults, fault{from: at, to: s.now(t)})
		now, _ := s.place(t)
		require.Equal(t, other, now)
		s.executeFor(t, 3*time.Second)
	}
	s.verify(t)
}

// A namespace moves to a cell on the other worker and back, while its jobs fire.
func TestCitus_movesNamespaces(t *testing.T) {
	s := onCitus(t)
	s.command(t, "cells", "add", "second")
	for _, cell := range []string{"second", "cell"} {
		at := s.now(t)
		s.command(t, "namespaces", "move", "default", "--to", cell)
		s.faults = append(s.faults, fault{from: at, to: s.now(t)})
		s.executeFor(t, 3*time.Second)
	}
	var workers int
	require.NoError(t, s.db.QueryRow(t.Context(), "select count(distinct nodeport) from citus_shards where table_name::text like '%due'").Scan(&workers))
	require.Equal(t, 2, workers)
	s.verify(t)
}

// The worker of the cell crashes and comes back. TEST_CITUS_CRASH is the program that makes it: its
// argument is the worker's port.
func TestCitus_crashes(t *testing.T) {
	program := os.Getenv("TEST_CITUS_CRASH")
	if program == "" {
		t.Skip("TEST_CITUS_CRASH names no program")
	}
	s := onCitus(t)
	for range 3 {
		s.executeFor(t, 3*time.Second)
		worker, _ := s.place(t)
		at := s.now(t)
		out, err := exec.CommandContext(t.Context(), program, strconv.Itoa(worker)).CombinedOutput()
		require.NoError(t, err, "%s", out)
		s.faults = append(s.faults, fault{from: at, to: s.now(t).Add(leaseDuration)})
	}
	s.executeFor(t, 3*time.Second)
	s.verify(t)
}
