package deploy_test

import (
	"bufio"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// process is an instance in a process of its own, which can be killed.
type process struct {
	*exec.Cmd
	address string
}

// build builds the program, and returns its path.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "punctual")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "punctual/cmd/punctual").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return binary
}

// startProcess starts a process that listens on a port, or on a free one if that is 0, and returns
// when it serves.
func startProcess(t *testing.T, binary, database, port string) process {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, "serve", "--host=127.0.0.1", "--port="+port)
	cmd.Dir = t.TempDir() // no .env
	cmd.Env = append(os.Environ(), "DATABASE_URL="+database)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have been killed already
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		var line struct{ Msg, URL string }
		if json.Unmarshal(lines.Bytes(), &line) != nil || line.Msg != "serving" {
			continue
		}
		go func() {
			for lines.Scan() { // or the pipe fills, and the service waits for it
			}
		}()
		at, err := url.Parse(line.URL)
		require.NoError(t, err)
		return process{cmd, at.Host}
	}
	require.FailNow(t, "the service did not serve")
	return process{}
}

// kill ends the process without a word.
func (p process) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, p.Process.Kill())
	require.Error(t, p.Wait())
}
