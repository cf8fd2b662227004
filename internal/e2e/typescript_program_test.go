package e2e

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"punctual/internal/testdb/need"

	"github.com/stretchr/testify/require"
)

// patience is the limit of waiting for another process. The longest wait is for a lease to expire.
const patience = 30 * time.Second

// examplesDir has the programs in TypeScript.
const examplesDir = "../../examples/typescript"

// program is a running program of the examples, or the command line.
type program struct {
	*os.Process
	lines <-chan string // of its standard output; closed at its end
	ended chan error
}

// buildTypeScript generates the client, checks the types and compiles. npm fetches only missing
// packages.
var buildTypeScript = sync.OnceValue(func() error {
	for _, args := range [][]string{{"install", "--no-save"}, {"run", "build"}} {
		npm := exec.Command("npm", args...)
		npm.Dir = examplesDir
		if output, err := npm.CombinedOutput(); err != nil {
			return fmt.Errorf("npm %s: %w\n%s", args[0], err, output)
		}
	}
	return nil
})

// runTypeScript starts a program, with env added to the environment, and kills it at the test's
// end.
func runTypeScript(t *testing.T, name string, env []string, args ...string) *program {
	t.Helper()
	node := findNode(t)
	require.NoError(t, buildTypeScript(), "the programs compile")

	path := filepath.Join(examplesDir, "build", name)
	return runProgram(t, env, node, append([]string{"--enable-source-maps", path}, args...)...)
}

// runProgram starts a program, with env added to the environment, and kills it at the test's end.
func runProgram(t *testing.T, env []string, path string, args ...string) *program {
	t.Helper()
	command := exec.Command(path, args...)
	command.Env = append(os.Environ(), env...)
	command.Stderr = t.Output()
	output, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start(), "%s starts", path)

	lines := make(chan string, 100)
	p := &program{Process: command.Process, lines: lines, ended: make(chan error, 1)}
	go func() {
		for s := bufio.NewScanner(output); s.Scan(); {
			lines <- s.Text()
		}
		close(lines)
		p.ended <- command.Wait()
	}()
	t.Cleanup(func() {
		_ = p.Kill() // it may have ended
		_ = p.wait()
	})
	return p
}

// wait waits for the program's end, and returns an error unless it ended with 0.
func (p *program) wait() error {
	for range p.lines { // unread lines would block the program
	}
	err := <-p.ended
	p.ended <- err
	return err
}

// findNode returns the path of Node.js, which comes with npm.
func findNode(t *testing.T) string {
	t.Helper()
	need.Program(t, "npm", "npm")
	return need.Program(t, "nodejs", "node")
}

// await receives a value, or the end of the channel, in time.
func await[T any](t *testing.T, from <-chan T, what string) (got T) {
	t.Helper()
	select {
	case got = <-from:
	case <-time.After(patience):
		require.Fail(t, "waited too long for: "+what)
	}
	return got
}
