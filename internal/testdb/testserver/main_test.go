package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/internal/testdb/internal/launch"
)

// role is the environment variable by which this test program, run again, becomes another part of
// the play.
const role = "PUNCTUAL_TESTSERVER_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "server":
		os.Exit(serve())
	case "user": // a test process that uses a server, and never ends by itself
		server, err := launch.Start(play("server"))
		if err != nil {
			fmt.Fprintln(os.Stdout, err)
			os.Exit(1)
		}
		fmt.Fprintln(os.Stdout, server.URL)
		select {}
	}
}

func TestServerEndsWithTheProcessThatUsesIt(t *testing.T) {
	t.Parallel()
	user := play("user")
	user.Stderr = os.Stderr
	stdout, err := user.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, user.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	address := strings.TrimSpace(line)
	assert.True(t, answers(t, address), "no server at %q", address)

	require.NoError(t, user.Process.Kill())
	_ = user.Wait() // "signal: killed"
	assert.Eventually(t, func() bool { return !answers(t, address) }, stopTimeout, 20*time.Millisecond,
		"the server outlives the process that used it")
}

func TestStopEndsTheServer(t *testing.T) {
	t.Parallel()
	server, err := launch.Start(play("server"))
	require.NoError(t, err)
	assert.True(t, answers(t, server.URL))
	require.NoError(t, server.Stop())
	assert.False(t, answers(t, server.URL), "it still answers")
}

func TestStartHandsOnTheSentence(t *testing.T) {
	t.Parallel()
	cmd := play("server")
	cmd.Env = append(cmd.Env, "TEST_DATABASE_PROVIDER=nonsense")
	_, err := launch.Start(cmd)
	assert.EqualError(t, err, "TEST_DATABASE_PROVIDER=nonsense is none of url, docker, installed")
}

func TestRunReturnsTheCommandsExitCode(t *testing.T) {
	t.Parallel()
	assert.Equal(t, 0, run("sh", []string{"-c", `[ "$GREETING" = hello ]`}, append(os.Environ(), "GREETING=hello")))
	assert.Equal(t, 7, run("sh", []string{"-c", "exit 7"}, os.Environ()))
	assert.Equal(t, 1, run("sh", []string{"-c", "kill -9 $$"}, os.Environ()))
	assert.Equal(t, 1, run("no-such-program", nil, os.Environ()))
}

// play runs this test program again, in a role, with a server of its own.
func play(part string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), role+"="+part, "TEST_DATABASE_URL=", "TEST_DATABASE_PROVIDER=")
	return cmd
}

func answers(t *testing.T, address string) bool {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		return false
	}
	assert.NoError(t, conn.Close(t.Context()))
	return true
}
