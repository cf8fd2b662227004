package embeddedpg

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// helperEnv makes the test binary a process that owns a server on the named directory until it is
// killed.
const helperEnv = "PUNCTUAL_EMBEDDED_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperEnv); dir != "" {
		own(dir)
	}
	os.Exit(m.Run())
}

func own(dir string) {
	server, err := Start(context.Background(), config(dir))
	if err != nil {
		fmt.Fprintln(os.Stdout, err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stdout, "READY", server.URL())
	<-server.Done()
	os.Exit(1)
}

// runOwner starts such a process and returns it with the address of its server.
func runOwner(t *testing.T, dir string) (owner *exec.Cmd, url string) {
	t.Helper()
	owner = exec.Command(os.Args[0])
	owner.Env = append(os.Environ(), helperEnv+"="+dir)
	out, err := owner.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, owner.Start())
	t.Cleanup(func() {
		_ = owner.Process.Kill()
		_ = owner.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	url, ready := strings.CutPrefix(strings.TrimSpace(line), "READY ")
	require.True(t, ready, "the owner said: %s", line)
	return owner, url
}

// dataDir returns a directory that PostgreSQL's account can reach even if the test runs as root.
// The account cannot reach t.TempDir.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "punctual-embedded-") //nolint:usetesting // see above
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// openDir returns a directory that everybody may enter, in which tests create others.
func openDir(t *testing.T) string {
	t.Helper()
	dir := dataDir(t)
	require.NoError(t, os.Chmod(dir, 0o755))
	return dir
}

func config(dir string) Config {
	return Config{
		DataDir:  dir,
		Logger:   slog.New(slog.DiscardHandler),
		Settings: map[string]string{"fsync": "off", "shared_buffers": "16MB"},
	}
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func mustStart(t *testing.T, c Config) *Server {
	t.Helper()
	server, err := Start(testContext(t), c)
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Stop(context.Background()) })
	return server
}

func mustExec(t *testing.T, url, statement string) {
	t.Helper()
	conn, err := pgx.Connect(testContext(t), url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(testContext(t), statement)
	require.NoError(t, err)
}

func mustQuery(t *testing.T, url, query string) string {
	t.Helper()
	conn, err := pgx.Connect(testContext(t), url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	var value string
	require.NoError(t, conn.QueryRow(testContext(t), query).Scan(&value))
	return value
}

const (
	addRow = "create table kept as select 'a row' as what"
	getRow = "select what from kept"
)

// postmaster returns the process number of the server on a directory.
func postmaster(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "cluster", "postmaster.pid"))
	require.NoError(t, err)
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	require.NoError(t, err)
	return pid
}

// script writes an executable shell script.
func script(t *testing.T, path, body string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755))
}

// untilFile returns a context that ends when a file appears that matches the pattern.
func untilFile(t *testing.T, pattern string) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(testContext(t))
	go func() {
		poll := time.NewTicker(5 * time.Millisecond)
		defer poll.Stop()
		for {
			if found, _ := filepath.Glob(pattern); len(found) > 0 {
				cancel()
			}
			select {
			case <-poll.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, cancel
}
