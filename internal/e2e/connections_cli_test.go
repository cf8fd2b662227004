package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/testdb"
)

// Connections are applied from files, listed, shown and deleted by the command line, which prints
// no secret.
func TestCommandLine_connections(t *testing.T) {
	t.Parallel()
	service := startCalling(t, testdb.New(t))
	const secret = "s3cret-of-the-environment"
	env := []string{"CRM_TOKEN=" + secret}
	file := filepath.Join(t.TempDir(), "crm.yaml")
	write := func(baseURL string) {
		require.NoError(t, os.WriteFile(file, []byte("key: crm\nbaseUrl: "+baseURL+
			"\nmaxPerSecond: 50\nauth: { type: bearer, token: \"${env:CRM_TOKEN}\" }\n"), 0o600))
	}
	run := func(code int, env []string, args ...string) ran {
		t.Helper()
		got := service.punctual(t, env, append([]string{"connections"}, args...)...)
		require.Equal(t, code, got.code, "%v: %s%s", args, got.out, got.err)
		require.NotContains(t, got.out+got.err, secret)
		return got
	}
	write("https://crm.example.com")
	refused := run(1, nil, "apply", "-f", file)
	require.Contains(t, refused.err, "CRM_TOKEN", "the environment lacks it")
	require.Contains(t, run(0, env, "apply", "-f", file).out, "Created: the connection crm.")
	require.Contains(t, run(0, env, "apply", "-f", file).out, "Applied: the connection crm.")
	write("https://new.example.com")
	run(0, env, "apply", "-f", file)
	require.Contains(t, run(0, nil, "list").out, "https://new.example.com")
	shown := decoded[client.Connection](t, run(0, nil, "get", "crm", "-o", "json"))
	require.Equal(t, []string{"auth.token"}, shown.Secrets)
	require.Equal(t, int32(50), *shown.MaxPerSecond)
	write("ftp://crm.example.com")
	require.Contains(t, run(1, env, "apply", "-f", file).err, "baseUrl")

	job := service.calling(t)
	require.Contains(t, run(1, nil, "delete", "crm", "--yes").err, "Jobs use the connection")
	_, err := service.DeleteJobWithResponse(t.Context(), job, nil)
	require.NoError(t, err)
	run(0, nil, "delete", "crm", "--yes")
	run(1, nil, "get", "crm")
}
