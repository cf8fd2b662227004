package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// A job on demand is exported, applied, listed and run by the command line.
func TestCommandLine_jobsOnDemand(t *testing.T) {
	t.Parallel()
	service := payments(t)
	service.create(t, `{"name":"mail","key":"mail","labels":{"app":"mail"},"onDemand":true,"target":{"type":"worker","queue":"mail"}}`)
	exported := service.punctual(t, nil, "jobs", "export", "-l", "app=mail")
	require.Zero(t, exported.code, exported.err)
	require.Contains(t, exported.out, "onDemand: true")
	file := filepath.Join(t.TempDir(), "mail.yaml")
	require.NoError(t, os.WriteFile(file, []byte(exported.out), 0o600))
	require.Zero(t, service.punctual(t, nil, "jobs", "diff", "-f", file).code, "nothing differs")
	require.Contains(t, service.punctual(t, nil, "jobs", "list").out, "on demand")

	payload := filepath.Join(t.TempDir(), "payload.json")
	require.NoError(t, os.WriteFile(payload, []byte(`{"to":"ann"}`), 0o600))
	run := decoded[client.Run](t, service.punctual(t, nil, "jobs", "run", "mail", "--payload", "@"+payload, "--at", "2h", "-o", "json"))
	require.JSONEq(t, `{"to":"ann"}`, string(run.Payload))
	require.Equal(t, client.RunWaitingForTIME, *run.WaitingFor)
	require.JSONEq(t, `{"to":"ann"}`, string(service.readRun(t, run.Id).Payload))
	details := service.punctual(t, nil, "runs", "get", run.Id.String())
	require.Contains(t, details.out, "TIME")
	for _, wrong := range [][]string{{"mail", "payments/old", "--at", "2h"}, {"mail", "--payload", "{"}, {"--all", "--payload", "1"}} {
		refused := service.punctual(t, nil, append([]string{"jobs", "run"}, wrong...)...)
		require.Equal(t, 3, refused.code, "%v: %s", wrong, refused.err)
	}
}
