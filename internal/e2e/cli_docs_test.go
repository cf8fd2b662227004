package e2e

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// Each example of docs/cli.md works on a real service.
func TestCommandLine_examplesOfTheDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/cli.md")
	require.NoError(t, err)
	service, dir := payments(t), t.TempDir()
	paused := decoded[client.JobBulkResult](t, service.punctual(t, nil, "jobs", "pause", "--all", "--yes", "-o", "json"))
	started := service.punctual(t, nil, "jobs", "run", "payments/report", "-o", "name")
	require.Zero(t, started.code, started.err)
	key := service.createKey(t, client.KeyCreate{})
	env := []string{"PAUSE=" + paused.PauseId.String(), "RUN=" + strings.TrimSpace(started.out), "KEY_ID=" + key.Id}

	var isCode bool
	var n int
	for line := range strings.Lines(string(page)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "```") {
			isCode = line == "```sh"
			continue
		}
		if !isCode {
			continue
		}
		n++
		run := line
		if strings.Contains(line, "--watch") || strings.Contains(line, "runs watch -l") || strings.HasPrefix(line, "punctual events") { // somebody presses Ctrl-C
			run = "timeout --preserve-status --signal=INT 4 " + line
		}
		got := service.shell(t, dir, env, run)
		assert.Zero(t, got.code, "%s: %s", line, got.err)
	}
	require.Greater(t, n, 35, "the page has examples")
}
