package e2e

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/internal/app"
	"punctual/internal/testdb"
)

// payments starts a service that executes runs and has three jobs of a team.
func payments(t *testing.T) instance {
	t.Helper()
	service := start(t, app.Config{Database: app.DatabaseConfig{URL: testdb.New(t)}})
	for _, job := range []string{"settle", "report", "old"} {
		service.create(t, `{"name":"`+job+`","key":"payments/`+job+`","labels":{"team":"payments","env":"prod"},"cron":"0 5 1 1 *"}`)
	}
	return service
}

// shell runs a line of a shell in which punctual is the command line and asks the service.
func (i instance) shell(t *testing.T, dir string, env []string, line string) ran {
	t.Helper()
	path, err := buildCommand()
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), "bash", "-o", "pipefail", "-c", line)
	command.Dir = dir
	command.Env = append(command.Environ(), append(env, "PUNCTUAL_URL="+i.url, "XDG_CONFIG_HOME="+dir, "DATABASE_URL=",
		"PATH="+filepath.Dir(path)+":/usr/local/bin:/usr/bin:/bin")...)
	var out, log strings.Builder
	command.Stdout, command.Stderr = &out, &log
	_ = command.Run() // the code says how it ended
	return ran{out.String(), log.String(), command.ProcessState.ExitCode()}
}

// decoded reads the output of a command as JSON.
func decoded[T any](t *testing.T, r ran) (value T) {
	t.Helper()
	require.Zero(t, r.code, r.err)
	require.NoError(t, json.Unmarshal([]byte(r.out), &value), r.out)
	return value
}
