package embeddedpg

import (
	"context"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func TestServer_keepsRowsAcrossRestarts(t *testing.T) {
	t.Parallel()
	c := Config{DataDir: filepath.Join(openDir(t), "not", "there", "yet")} // full durability, as in production
	server := mustStart(t, c)
	mustExec(t, server.URL(), addRow)
	require.Equal(t, "punctual", mustQuery(t, server.URL(), "select current_database()::text"))
	require.NoError(t, server.Stop(testContext(t)))
	<-server.Done()
	require.NoError(t, server.Stop(testContext(t)), "stop again")

	server = mustStart(t, c)
	require.Equal(t, "a row", mustQuery(t, server.URL(), getRow))
	require.Equal(t, "on", mustQuery(t, server.URL(), "show fsync"))
	require.Equal(t, "UTC", mustQuery(t, server.URL(), "show timezone"))
	require.Equal(t, "UTF8", mustQuery(t, server.URL(), "show server_encoding"))
	require.Equal(t, "127.0.0.1", mustQuery(t, server.URL(), "show listen_addresses"))
}

func TestDirectory_hasOneOwner(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	server := mustStart(t, config(dir))
	mustExec(t, server.URL(), addRow)

	_, err := Start(testContext(t), config(dir))
	require.ErrorContains(t, err, "another Punctual process")
	require.ErrorContains(t, err, dir)
	require.Equal(t, "a row", mustQuery(t, server.URL(), getRow), "the refused start leaves the server alone")
}

func TestServer_severalOnOneMachine(t *testing.T) {
	t.Parallel()
	one, two := mustStart(t, config(dataDir(t))), mustStart(t, config(dataDir(t)))
	require.NotEqual(t, one.URL(), two.URL())
	mustExec(t, one.URL(), addRow)
	mustExec(t, two.URL(), addRow)
}

func TestServer_requiresThePassword(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	server := mustStart(t, config(dir))
	address, err := url.Parse(server.URL())
	require.NoError(t, err)
	address.User = url.UserPassword("punctual", "guess")
	_, err = pgx.Connect(testContext(t), address.String())
	require.ErrorContains(t, err, "password authentication failed")

	info, err := os.Stat(filepath.Join(dir, "password"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	info, err = os.Stat(filepath.Join(dir, "cluster"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	info, err = os.Stat(dir)
	require.NoError(t, err)
	require.Zero(t, info.Mode().Perm()&0o027, "the data directory is closed to others, and nobody else writes in it")
}

func TestServer_runsWithoutPrivileges(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	mustStart(t, config(dir))
	uid, _, ok := owner(filepath.Join(dir, "cluster", "postmaster.pid"))
	require.True(t, ok)
	require.NotZero(t, uid, "PostgreSQL must not run as root")
	if os.Geteuid() != 0 {
		require.Equal(t, os.Geteuid(), uid)
	}
	group, err := syscall.Getpgid(postmaster(t, dir))
	require.NoError(t, err)
	require.NotEqual(t, syscall.Getpgrp(), group, "Ctrl-C must not reach PostgreSQL")
}

func TestServer_reportsACrash(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	server := mustStart(t, config(dir))
	mustExec(t, server.URL(), addRow)
	select {
	case <-server.Done():
		require.Fail(t, "done while it runs")
	default:
	}
	require.NoError(t, syscall.Kill(postmaster(t, dir), syscall.SIGKILL))
	<-server.Done()
	require.NoError(t, server.Stop(testContext(t)))

	server = mustStart(t, config(dir))
	require.Equal(t, "a row", mustQuery(t, server.URL(), getRow))
}

func TestServer_stopsWithinTheContext(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	server := mustStart(t, config(dir))
	mustExec(t, server.URL(), addRow)
	// Without its checkpointer the server cannot shut down cleanly, so the immediate shutdown is
	// needed.
	conn, err := pgx.Connect(testContext(t), server.URL())
	require.NoError(t, err)
	var checkpointer int
	require.NoError(t, conn.QueryRow(testContext(t),
		"select pid from pg_stat_activity where backend_type = 'checkpointer'").Scan(&checkpointer))
	require.NoError(t, conn.Close(testContext(t)))
	require.NoError(t, syscall.Kill(checkpointer, syscall.SIGSTOP))

	ended, cancel := context.WithCancel(testContext(t))
	cancel()
	require.ErrorIs(t, server.Stop(ended), context.Canceled)
	<-server.Done()

	server = mustStart(t, config(dir))
	require.Equal(t, "a row", mustQuery(t, server.URL(), getRow))
}

func TestStart_takesAnotherPort(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	asked := 0
	server, err := start(testContext(t), config(dataDir(t)), outside{places: searchPlaces(), port: func() (int, error) {
		if asked++; asked == 1 {
			return taken.Addr().(*net.TCPAddr).Port, nil
		}
		return freePort()
	}})
	require.NoError(t, err)
	defer func() { _ = server.Stop(context.Background()) }()
	require.Equal(t, 2, asked)
	mustExec(t, server.URL(), addRow)
}

func TestStart_appliesSettings(t *testing.T) {
	t.Parallel()
	c := config(dataDir(t))
	c.Settings["max_connections"] = "17"
	server := mustStart(t, c)
	require.Equal(t, "off", mustQuery(t, server.URL(), "show fsync"))
	require.Equal(t, "17", mustQuery(t, server.URL(), "show max_connections"))
	require.NoError(t, server.Stop(testContext(t)))

	for name, want := range map[string]string{"port": "cannot be changed", "Listen_Addresses": "cannot be changed", "a=b": "not the name"} {
		_, err := Start(testContext(t), Config{DataDir: c.DataDir, Settings: map[string]string{name: "1"}})
		require.ErrorContains(t, err, want)
	}
	_, err := Start(testContext(t), Config{DataDir: c.DataDir, Settings: map[string]string{"max_connections": "many"}})
	require.ErrorContains(t, err, `invalid value for parameter "max_connections"`, "the error ends with the server's log")
	_, err = Start(testContext(t), Config{})
	require.ErrorContains(t, err, "data directory")
	mustStart(t, c) // what failed has released the directory
}

func TestStart_endsWithTheContext(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(testContext(t))
	cancel()
	dir := dataDir(t)
	_, err := Start(ended, config(dir))
	require.ErrorIs(t, err, context.Canceled)
	mustStart(t, config(dir))
}
