package main_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/testdb"
)

// awaitLine reads the service's log until a line contains text.
func awaitLine(t *testing.T, log *bufio.Scanner, text string) {
	t.Helper()
	for log.Scan() {
		if strings.Contains(log.Text(), text) {
			return
		}
	}
	require.FailNow(t, "the log ended", "without %q", text)
}

func TestSignal_secondOneEndsTheProcess(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), build(t), "serve", "--port=0", "--shutdown-grace=1h", "--shutdown-delay=1h")
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "DATABASE_URL="+testdb.New(t))
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	log := bufio.NewScanner(stderr)

	awaitLine(t, log, `"serving"`)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	awaitLine(t, log, `"stopping"`)
	begun := time.Now()
	require.Eventually(t, func() bool {
		_ = cmd.Process.Signal(syscall.SIGTERM) // fails when it has ended
		return time.Since(begun) > 1500*time.Millisecond
	}, time.Minute, 100*time.Millisecond, "the second signal comes after the time for an echo")
	awaitLine(t, log, "second signal")
	require.Error(t, cmd.Wait())
	require.Less(t, time.Since(begun), time.Minute, "the process does not wait for the grace")
}

// A terminal and a parent process may both send the same signal. The second one is an echo.
func TestSignal_echoIsIgnored(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), build(t), "serve", "--port=0", "--shutdown-grace=1m", "--shutdown-delay=2s")
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "DATABASE_URL="+testdb.New(t))
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	log := bufio.NewScanner(stderr)
	awaitLine(t, log, `"serving"`)
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	awaitLine(t, log, `"stopping"`)
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	for log.Scan() { // the service needs a reader to write its log
	}
	require.NoError(t, cmd.Wait(), "the service stops in order")
}

// The environment has priority over .env.
func TestDotEnv(t *testing.T) {
	t.Parallel()
	binary, dir := build(t), t.TempDir()
	dotEnv := "DATABASE_URL=" + testdb.New(t) + "\nPORT=0\nROLE=api\nLOG_LEVEL=bogus\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".env"), []byte(dotEnv), 0o600))
	cmd := exec.CommandContext(t.Context(), binary, "serve")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LOG_LEVEL=info")
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	log := bufio.NewScanner(stderr)
	require.True(t, log.Scan())
	require.Contains(t, log.Text(), `"version":`, "the first line")
	awaitLine(t, log, `"serving"`)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	for log.Scan() { // the service needs a reader to write its log
	}
	require.NoError(t, cmd.Wait())
}
