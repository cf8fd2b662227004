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

// awaitLine reads the service's log up to a line that contains text.
func awaitLine(t *testing.T, log *bufio.Scanner, text string) {
	t.Helper()
	for log.Scan() {
		if strings.Contains(log.Text(), text) {
			return
		}
	}
	require.FailNow(t, "the log ended", "without %q", text)
}

func TestSecondSignalEndsItAtOnce(t *testing.T) {
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
	}, time.Minute, 100*time.Millisecond, "it is asked again when the first was some time ago")
	awaitLine(t, log, "second signal")
	require.Error(t, cmd.Wait())
	require.Less(t, time.Since(begun), time.Minute, "it does not wait for the grace")
}

// A signal that comes twice, from the terminal and from what passes it on, is one.
func TestAnEchoOfTheFirstSignalIsNoSecond(t *testing.T) {
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
	for log.Scan() { // to its end, or it could not write
	}
	require.NoError(t, cmd.Wait(), "it stops in order")
}

// What .env says counts, unless the environment says otherwise.
func TestDotEnvIsRead(t *testing.T) {
	t.Parallel()
	binary, dir := build(t), t.TempDir()
	dotEnv := "DATABASE_URL=" + testdb.New(t) + "\nPORT=0\nROLE=api\nLOG_LEVEL=bogus\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".env"), []byte(dotEnv), 0o600))
	cmd := exec.CommandContext(t.Context(), binary)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LOG_LEVEL=info")
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	log := bufio.NewScanner(stderr)
	awaitLine(t, log, `"role":"api"`)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	for log.Scan() { // to its end, or it could not write
	}
	require.NoError(t, cmd.Wait())
}

func TestWrongConfigurationIsNamed(t *testing.T) {
	t.Parallel()
	binary := build(t)
	for env, want := range map[string]string{
		"PORT=70000":        "PORT",
		"ROLE=leader":       "--role",
		"POLL_INTERVAL=5":   "POLL_INTERVAL",
		"LOG_LEVEL=bogus":   "LOG_LEVEL",
		"POLL_INTERVAL=-5s": "POLL_INTERVAL must not be negative",
	} {
		cmd := exec.CommandContext(t.Context(), binary, "serve", "--port=0")
		cmd.Args = cmd.Args[:2]
		cmd.Dir = t.TempDir()
		cmd.Env = append(os.Environ(), "DATABASE_URL=postgres://127.0.0.1:1/x", env)
		out, err := cmd.CombinedOutput()
		require.Error(t, err, env)
		require.Contains(t, string(out), want, env)
	}
}
