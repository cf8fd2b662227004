package main_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/internal/keys"
)

// execute runs the command in an empty directory, without a database, and returns its output and
// its exit code.
func execute(t *testing.T, binary string, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Dir = t.TempDir() // there is no .env
	cmd.Env = append(append(os.Environ(), "DATABASE_URL="), env...)
	var out, log strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &log
	if failed := (*exec.ExitError)(nil); errors.As(cmd.Run(), &failed) {
		code = failed.ExitCode()
	}
	return out.String(), log.String(), code
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	binary := build(t)

	t.Run("without a command prints help", func(t *testing.T) {
		t.Parallel()
		out, _, code := execute(t, binary, nil)
		require.Equal(t, 3, code)
		require.Contains(t, out, "Usage: punctual <command>")
	})
	t.Run("prints the version", func(t *testing.T) {
		t.Parallel()
		for _, arg := range []string{"version", "--version"} {
			out, _, code := execute(t, binary, nil, arg)
			require.Zero(t, code, arg)
			require.Regexp(t, `^punctual \S+ go1\S+ \w+/\w+\n$`, out, arg)
		}
	})
	t.Run("names both ways to a database", func(t *testing.T) {
		t.Parallel()
		for _, args := range [][]string{{"serve", "--port=0"}, {"migrate", "status"}, {"secrets", "rotate"}} {
			_, log, code := execute(t, binary, nil, args...)
			require.Equal(t, 3, code, args)
			require.Contains(t, log, "set DATABASE_URL", args)
			require.Contains(t, log, "--embedded", args)
		}
	})
	t.Run("names a wrong setting", func(t *testing.T) {
		t.Parallel()
		for env, want := range map[string]string{
			"PORT=70000":        "PORT",
			"ROLE=leader":       "--role",
			"POLL_INTERVAL=5":   "POLL_INTERVAL",
			"LOG_LEVEL=bogus":   "LOG_LEVEL",
			"POLL_INTERVAL=-5s": "POLL_INTERVAL must not be negative",
		} {
			_, log, code := execute(t, binary, []string{"DATABASE_URL=postgres://127.0.0.1:1/x", env}, "serve")
			require.Equal(t, 3, code, env)
			require.Contains(t, log, want, env)
		}
	})
	t.Run("explains a wrong database URL without the password", func(t *testing.T) {
		t.Parallel()
		for url, want := range map[string]string{
			"postgres://me:s3cr3t@127.0.0.1:1/x": "connect: ",
			"postgres://me:s3cr3t@:bad/x":        "database url",
			"mysql://me:s3cr3t@127.0.0.1/x":      "database url",
		} {
			_, log, code := execute(t, binary, nil, "serve", "--port=0", "--database-url="+url)
			require.NotZero(t, code, url)
			require.Contains(t, log, want)
			require.NotContains(t, log, "s3cr3t")
		}
	})
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	binary, data := build(t), dataDir(t)
	migrate := func(step string) string {
		t.Helper()
		out, log, code := execute(t, binary, nil, "migrate", step, "--embedded", "--data-dir="+data)
		require.Zero(t, code, log)
		return out
	}
	require.Regexp(t, `^\[ \] \d{14}_create_namespaces_keys_and_audit\n`, migrate("status"))
	migrate("up")
	require.NotContains(t, migrate("status"), "[ ]")
	migrate("down")
	require.Contains(t, migrate("status"), "[ ]")
	migrate("up")
	require.NotContains(t, migrate("status"), "[ ]")
}

func TestKeys(t *testing.T) {
	t.Parallel()
	binary, data := build(t), dataDir(t)
	command := func(args ...string) (out, log string, code int) {
		t.Helper()
		return execute(t, binary, nil, append([]string{"keys"}, append(args, "--embedded", "--data-dir="+data)...)...)
	}
	for refusal, args := range map[string][]string{
		"can't be used together":             {"create", "--service-wide", "--namespace=default"},
		"--expires-in must be longer than 0": {"create", "--expires-in=0s"},
		"--scopes must be one of":            {"create", "--scopes=job:read"},
		"--description must have 1 to 255":   {"create", "--description=" + strings.Repeat("é", 256)},
		"no control characters":              {"create", "--description=a\nb"},
		`--queues: "a b" is not the name`:    {"create", "--queues=images,a b"},
	} {
		_, log, code := command(args...)
		require.Equal(t, 3, code, "%s: %s", args, log)
		require.Contains(t, log, refusal)
	}
	_, log, code := command("create")
	require.Equal(t, 1, code)
	require.Contains(t, log, "run `punctual migrate up`", "the database is new")
	_, log, code = execute(t, binary, nil, "migrate", "up", "--embedded", "--data-dir="+data)
	require.Zero(t, code, log)
	key, log, code := command("create", "--service-wide", "--expires-in=1h")
	require.Zero(t, code, log)
	require.Regexp(t, `^`+keys.Expression+`\n$`, key, "nothing else is printed")
	id, secret := strings.Split(key, "_")[1], strings.TrimSpace(strings.Split(key, "_")[2])
	list, log, code := command("list")
	require.Zero(t, code, log)
	require.Contains(t, list, id)
	require.NotContains(t, list+log, secret[:8])
	_, log, code = command("revoke", "aaaaaaaaaaaaaaaa")
	require.Equal(t, 1, code)
	require.Contains(t, log, "there is no such key in the namespace default")
	_, log, code = command("revoke", id)
	require.Zero(t, code, log)
	list, log, code = command("list")
	require.Zero(t, code, log)
	require.Contains(t, list, "REVOKED")
}

func TestRotateSecrets(t *testing.T) {
	t.Parallel()
	binary, data := build(t), dataDir(t)
	rotate := func(keys string) (log string, code int) {
		t.Helper()
		_, log, code = execute(t, binary, []string{"SECRET_KEYS=" + keys}, "secrets", "rotate", "--embedded", "--data-dir="+data)
		return log, code
	}
	_, log, code := execute(t, binary, nil, "migrate", "up", "--embedded", "--data-dir="+data)
	require.Zero(t, code, log)
	key, _, code := execute(t, binary, nil, "secrets", "generate-key")
	require.Zero(t, code)

	log, code = rotate(strings.TrimSpace(key))
	require.Zero(t, code, log)
	require.Contains(t, log, `"jobsAndConnections":0`, "there are no secrets")
	log, code = rotate("")
	require.Equal(t, 1, code)
	require.Contains(t, log, "no key to seal secrets with")
	log, code = rotate("id:hush")
	require.NotZero(t, code)
	require.Contains(t, log, "SECRET_KEYS")
	require.NotContains(t, log, "hush")
}
