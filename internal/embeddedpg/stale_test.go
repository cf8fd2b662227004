package embeddedpg

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func TestStale_serverIsReplaced(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	owner, url := runOwner(t, dir)
	mustExec(t, url, addRow)
	_, err := Start(testContext(t), config(dir))
	require.ErrorContains(t, err, "(pid "+strconv.Itoa(owner.Process.Pid)+")", "its owner lives")

	require.NoError(t, owner.Process.Kill())
	_ = owner.Wait()
	require.Equal(t, "a row", mustQuery(t, url, getRow), "the server outlives its owner")
	left := postmaster(t, dir)
	mustExec(t, url, "insert into kept values ('another row')")
	// An open transaction must not delay the shutdown.
	idle, err := pgx.Connect(testContext(t), url)
	require.NoError(t, err)
	defer func() { _ = idle.Close(context.Background()) }()
	_, err = idle.Exec(testContext(t), "begin; insert into kept values ('not committed')")
	require.NoError(t, err)

	server := mustStart(t, config(dir))
	require.NotEqual(t, left, postmaster(t, dir))
	require.Equal(t, "2", mustQuery(t, server.URL(), "select count(*)::text from kept"))
}

// The number in postmaster.pid may belong to another process by now. That process must survive, and
// must not prevent PostgreSQL from starting.
func TestStale_processNumberWasReused(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	server := mustStart(t, config(dir))
	mustExec(t, server.URL(), addRow)
	pidFile := filepath.Join(dir, "cluster", "postmaster.pid")
	content, err := os.ReadFile(pidFile)
	require.NoError(t, err)
	_, rest, err := parsePidFile(content)
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(postmaster(t, dir), syscall.SIGKILL))
	<-server.Done()
	require.NoError(t, server.Stop(testContext(t)))

	// PostgreSQL checks only processes of its own user.
	who, err := chooseAccount(filepath.Join(dir, "cluster"))
	require.NoError(t, err)
	other := who.command(testContext(t), "/", "/bin/cat")
	input, err := other.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, other.Start())
	require.NoError(t, os.WriteFile(pidFile, []byte(strconv.Itoa(other.Process.Pid)+"\n"+rest), 0o600))

	server = mustStart(t, config(dir))
	require.Equal(t, "a row", mustQuery(t, server.URL(), getRow))
	require.NoError(t, input.Close())
	require.NoError(t, other.Wait(), "the other process ends by itself, not by a signal")
}

func TestStale_pidFileIsDamaged(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	require.NoError(t, mustStart(t, config(dir)).Stop(testContext(t)))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cluster", "postmaster.pid"), nil, 0o600))
	mustStart(t, config(dir))
}

func TestDirectory_interruptedInit(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	left := filepath.Join(dir, "init-123", "data")
	require.NoError(t, os.MkdirAll(left, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(left, "PG_VERSION"), []byte("15\n"), 0o600))
	// This initdb hangs after its first file, as if it were killed there.
	bin := openDir(t)
	script(t, filepath.Join(bin, "postgres"), `echo "postgres (PostgreSQL) 15.1"`)
	script(t, filepath.Join(bin, "initdb"), `mkdir data; echo 15 > data/PG_VERSION; touch data/begun; exec sleep 600`)

	hanging := config(dir)
	hanging.BinDir = bin
	ctx, cancel := untilFile(t, filepath.Join(dir, "init-*", "data", "begun"))
	defer cancel()
	_, err := Start(ctx, hanging)
	require.ErrorContains(t, err, "make a database cluster")
	require.NoDirExists(t, left)

	server := mustStart(t, config(dir))
	mustExec(t, server.URL(), addRow)
	leftovers, err := filepath.Glob(filepath.Join(dir, "init-*"))
	require.NoError(t, err)
	require.Empty(t, leftovers)
}

func TestDirectory_foreignDataAreRefused(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	cluster := filepath.Join(dir, "cluster")
	require.NoError(t, os.Mkdir(cluster, 0o700))
	_, err := Start(testContext(t), config(dir))
	require.ErrorContains(t, err, cluster+" is not a PostgreSQL data directory")

	require.NoError(t, os.WriteFile(filepath.Join(cluster, "PG_VERSION"), []byte("99\n"), 0o600))
	_, err = Start(testContext(t), config(dir))
	require.ErrorContains(t, err, "were made by PostgreSQL 99")
}

func TestDirectory_dataWithoutPassword(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	require.NoError(t, mustStart(t, config(dir)).Stop(testContext(t)))
	require.NoError(t, os.Remove(filepath.Join(dir, "password")))
	_, err := Start(testContext(t), config(dir))
	require.ErrorContains(t, err, "restore the file "+filepath.Join(dir, "password"))
}

func TestServerLog(t *testing.T) {
	t.Parallel()
	require.Equal(t, slog.LevelDebug, severity("postmaster", "LOG:  ready"))
	require.Equal(t, slog.LevelDebug, severity("client backend", "ERROR:  division by zero"))
	require.Equal(t, slog.LevelWarn, severity("checkpointer", "ERROR:  could not write"))
	require.Equal(t, slog.LevelWarn, severity("client backend", "FATAL:  sorry, too many clients already"))

	log := newServerLog(slog.New(slog.DiscardHandler))
	for _, part := range []string{"postmaster|LOG:  o", "ne\npostmaster|LOG:  two\nhal", "f"} {
		_, err := log.Write([]byte(part))
		require.NoError(t, err)
	}
	require.Equal(t, "LOG:  one\nLOG:  two\nhalf", log.tail())
}
