package e2e

import (
	"bytes"
	"io"
	"os/exec"
	"testing"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
)

// typed runs the command line at a terminal, at which somebody types an answer.
func (i instance) typed(t *testing.T, answer string, args ...string) (screen string, code int) {
	t.Helper()
	path, err := buildCommand()
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), path, args...)
	command.Dir = t.TempDir() // there is no .env
	command.Env = append(command.Environ(), "PUNCTUAL_URL="+i.url, "XDG_CONFIG_HOME="+command.Dir, "TERM=xterm", "NO_COLOR=")
	terminal, err := pty.Start(command)
	require.NoError(t, err)
	defer terminal.Close()
	_, err = io.WriteString(terminal, answer)
	require.NoError(t, err)
	var out bytes.Buffer
	_, _ = io.Copy(&out, terminal) // a terminal ends with an error
	_ = command.Wait()             // the code says how it ended
	return out.String(), command.ProcessState.ExitCode()
}

// At a terminal, somebody is asked before many jobs are changed, and told how many.
func TestCommandLine_asksAtATerminal(t *testing.T) {
	t.Parallel()
	service := payments(t)
	screen, code := service.typed(t, "\n", "jobs", "delete", "-l", "team=payments")
	require.Equal(t, 1, code, screen)
	require.Contains(t, screen, "Delete 3 jobs? [y/N]")
	require.Contains(t, screen, "nothing was done")
	screen, code = service.typed(t, "\x03", "jobs", "delete", "-l", "team=payments")
	require.NotZero(t, code, "Ctrl-C is no yes: %s", screen)
	require.Len(t, service.punctual(t, nil, "jobs", "list", "-o", "name").lines(), 3)
	screen, code = service.typed(t, "y\n", "jobs", "pause", "-l", "team=payments")
	require.Zero(t, code, screen)
	require.Contains(t, screen, "Paused: 3 jobs.")
	screen, code = service.typed(t, "", "jobs", "delete", "payments/old")
	require.Zero(t, code, screen)
	require.NotContains(t, screen, "[y/N]", "one job that is named is deleted at once")
	screen, _ = service.typed(t, "", "jobs", "list")
	require.Contains(t, screen, "\x1b[33mPAUSED\x1b[39m")
}
