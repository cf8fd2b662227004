package e2e

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

// A crontab becomes jobs, and the worker in Python runs their commands, and no others.
func TestCrontabIsImported(t *testing.T) {
	t.Parallel()
	service := start(t, app.Config{Database: app.DatabaseConfig{URL: testdb.New(t)}})
	dir := t.TempDir()
	writeFile(t, dir, "crontab", `CRON_TZ=Europe/Berlin
0 2 * * * echo "took $PUNCTUAL_RUN_ID" 100\%
@daily /bin/false
@reboot /bin/true
`)
	commands := filepath.Join(dir, "commands.json")
	imported := service.punctual(t, nil, "crontab", "import", filepath.Join(dir, "crontab"), "--commands", commands)
	require.Equal(t, 1, imported.code, "a line is left out")
	require.Contains(t, imported.err, "crontab:4: left out: ")
	writeFile(t, dir, "jobs.yaml", imported.out)
	for _, want := range []string{
		"2 jobs: 2 created, 0 changed, 0 unchanged, 0 deleted", "2 jobs: 0 created, 0 changed, 2 unchanged, 0 deleted",
	} {
		applied := service.punctual(t, nil, "jobs", "apply", "-f", filepath.Join(dir, "jobs.yaml"))
		require.Equal(t, 0, applied.code, applied.err)
		require.Equal(t, want, applied.last())
	}

	runPython(t, "commands.py", []string{"PUNCTUAL_URL=" + service.url}, commands, "commands")
	end := func(key string, status client.RunStatus) client.Run {
		t.Helper()
		job, err := service.GetJobByKeyWithResponse(t.Context(), key)
		require.NoError(t, err)
		require.NotNil(t, job.JSON200, "found: %s", job.Body)
		return service.waitForRun(t, service.startRun(t, job.JSON200.Id, "").Id, status)
	}
	echo := end("crontab/echo", client.RunStatusSUCCEEDED)
	require.Equal(t, "took "+echo.Id.String()+" 100%\n", echo.Result.Output)
	require.Contains(t, *end("crontab/false", client.RunStatusFAILED).Error, "exit code 1")

	forbidden := service.create(t, `{"name":"x","cron":"@daily","target":{"type":"worker","queue":"commands"},"payload":{"command":"rm"}}`)
	refused := service.waitForRun(t, service.startRun(t, forbidden.Id, "").Id, client.RunStatusFAILED)
	require.Equal(t, "there is no allowed command 'rm'", *refused.Error)
}
