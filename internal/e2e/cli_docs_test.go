package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// holidays is an iCalendar file with one day.
const holidays = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\n" +
	"DTSTART;VALUE=DATE:20270326\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"

// Each example of docs/cli.md works on a real service.
func TestCommandLine_examplesOfTheDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/cli.md")
	require.NoError(t, err)
	service, dir := payments(t), t.TempDir()
	for name, text := range map[string]string{
		"berlin.yaml":  "key: berlin\ntimeZone: Europe/Berlin\nyearly: [01-01]\nweekdays: [SUNDAY]",
		"holidays.ics": holidays,
		"crm.yaml":     "key: crm\nbaseUrl: https://crm.example.com",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
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
