//go:build contract

package e2e

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/internal/access"
	"punctual/internal/app"
	"punctual/internal/keys"
	"punctual/internal/testdb"
)

// contractDir has what `make contract` has installed and built.
const contractDir = "../../tools/contract"

// TestGeneratedClients uses clients that other generators have made of the contract. They send a
// key, as each of them does it.
func TestGeneratedClients(t *testing.T) {
	t.Parallel()
	service, db := setupWithKeys(t)
	_, key := makeKey(t, db, access.DefaultNamespace, keys.Request{Description: "of generated clients"})
	for name, command := range map[string]*exec.Cmd{
		"openapi-typescript, hey-api and orval": exec.CommandContext(t.Context(), findNode(t), "build/use.js"),
		"ogen":                                  exec.CommandContext(t.Context(), "go", "run", "."),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			command.Dir = contractDir
			if name == "ogen" {
				command.Dir = contractDir + "/ogen"
			}
			command.Env = append(os.Environ(), "PUNCTUAL_URL="+service.url, "PUNCTUAL_KEY="+key)
			output, err := command.CombinedOutput()
			require.NoError(t, err, "%s", output)
		})
	}
}

// TestValidatingProxy calls each operation through Prism, which refuses each request and response
// that differs from the contract.
func TestValidatingProxy(t *testing.T) {
	t.Parallel()
	service := start(t, app.Config{Database: app.DatabaseConfig{URL: testdb.New(t)}})
	proxy := startProxy(t, service.url)
	// Prism waits for the end of a response, and a stream has none.
	calls := runTypeScript(t, "operations.js", []string{"PUNCTUAL_URL=" + proxy, "PUNCTUAL_STREAM_URL=" + service.url})
	for line := range calls.lines {
		t.Log(line)
	}
	require.NoError(t, calls.wait(), "each response is as expected")
}

// startProxy starts Prism in front of a service until the test's end, and returns its URL.
func startProxy(t *testing.T, upstream string) string {
	t.Helper()
	port := freePort(t)
	command := exec.CommandContext(t.Context(), findNode(t), "node_modules/@stoplight/prism-cli/dist/index.js", "proxy",
		"--errors", "--host", "127.0.0.1", "--port", port, "../../openapi.yaml", upstream)
	command.Dir = contractDir
	output, err := command.StdoutPipe()
	require.NoError(t, err)
	command.Stderr = command.Stdout
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	listening := make(chan struct{})
	go func() {
		for s := bufio.NewScanner(output); s.Scan(); {
			if strings.Contains(s.Text(), "Prism is listening") {
				close(listening)
			}
			if strings.Contains(s.Text(), "iolation") {
				t.Log(s.Text())
			}
		}
	}()
	await(t, listening, "the proxy")
	return "http://127.0.0.1:" + port
}

// freePort returns a port that was free a moment ago: Prism cannot choose one.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}
