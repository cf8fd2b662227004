package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/internal/app"
	"punctual/internal/testdb"
)

// commandDir has the binary of buildCommand. TestMain removes it.
var commandDir string

// buildCommand builds the command line once.
var buildCommand = sync.OnceValues(func() (path string, err error) {
	if commandDir, err = os.MkdirTemp("", "punctual-e2e"); err != nil {
		return "", err
	}
	path = filepath.Join(commandDir, "punctual")
	if output, err := exec.Command("go", "build", "-o", path, "punctual/cmd/punctual").CombinedOutput(); err != nil {
		return path, fmt.Errorf("go build: %w\n%s", err, output)
	}
	return path, nil
})

// ran is a command that has ended.
type ran struct {
	out, err string
	code     int
}

// last returns the last line of its output.
func (r ran) last() string {
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	return lines[len(lines)-1]
}

// punctual runs the command line against a service, as somebody without a configuration file.
func (i instance) punctual(t *testing.T, env []string, args ...string) (r ran) {
	t.Helper()
	path, err := buildCommand()
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), path, args...)
	command.Dir = t.TempDir() // there is no .env
	command.Env = append(append(os.Environ(), "PUNCTUAL_URL="+i.url, "XDG_CONFIG_HOME="+command.Dir), env...)
	var out, log strings.Builder
	command.Stdout, command.Stderr = &out, &log
	_ = command.Run() // the code says how it ended
	return ran{out.String(), log.String(), command.ProcessState.ExitCode()}
}

// jobsDir writes a directory with 300 definitions, ten in each file.
func jobsDir(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for file := range 30 {
		var text strings.Builder
		for n := range 10 {
			fmt.Fprintf(&text, "- key: team/job-%d\n  name: job\n  labels: { team: a }\n  cron: %d %d * * *\n", file*10+n, file, n)
		}
		writeFile(t, dir, fmt.Sprintf("%02d.yaml", file), text.String())
	}
	return dir
}

func writeFile(t *testing.T, dir, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
}

// edit replaces a text in a file.
func edit(t *testing.T, dir, name, from, to string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	require.Contains(t, string(text), from)
	writeFile(t, dir, name, strings.Replace(string(text), from, to, 1))
}

// A directory of 300 definitions is applied again and again, while it is edited.
func TestFilesAreApplied(t *testing.T) {
	t.Parallel()
	service := start(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: testdb.New(t)}})
	dir := jobsDir(t)
	apply := func(args ...string) ran {
		t.Helper()
		return service.punctual(t, nil, append([]string{"jobs", "apply", "-f", dir}, args...)...)
	}
	diff := func() ran {
		t.Helper()
		return service.punctual(t, nil, "jobs", "diff", "-f", dir, "--prune", "-l", "team=a")
	}

	first := apply("--dry-run")
	require.Equal(t, 0, first.code, first.err)
	require.Equal(t, "300 jobs: 300 created, 0 changed, 0 unchanged, 0 deleted (a dry run: nothing has happened)", first.last())
	first = apply()
	require.Equal(t, 0, first.code, first.err)
	require.Equal(t, "300 jobs: 300 created, 0 changed, 0 unchanged, 0 deleted", first.last())
	again := apply()
	require.Equal(t, ran{out: "300 jobs: 0 created, 0 changed, 300 unchanged, 0 deleted\n"}, again, "nothing else is printed")
	require.Equal(t, 0, diff().code, "there is no difference")

	edit(t, dir, "07.yaml", "cron: 7 3 * * *", "cron: 7 4 * * *")
	require.Equal(t, ran{
		out: "~ team/job-73\n    cron: \"7 3 * * *\" -> \"7 4 * * *\"\n300 jobs: 0 created, 1 changed, 299 unchanged, 0 deleted\n", code: 2,
	}, diff())
	require.Equal(t, ran{out: "changed team/job-73: cron\n300 jobs: 0 created, 1 changed, 299 unchanged, 0 deleted\n"}, apply())

	require.NoError(t, os.Remove(filepath.Join(dir, "29.yaml")))
	require.Equal(t, "290 jobs: 0 created, 0 changed, 290 unchanged, 0 deleted", apply().last(), "without --prune, none is deleted")
	require.Equal(t, 2, diff().code, "there is something to delete")
	asked := apply("--prune", "-l", "team=a")
	require.Equal(t, 3, asked.code, "nobody can be asked")
	require.Contains(t, asked.err, "add --yes to delete 10 jobs")
	pruned := apply("--prune", "-l", "team=a", "--yes")
	require.Equal(t, 0, pruned.code, pruned.err)
	require.Contains(t, pruned.out, "deleted team/job-299\n")
	require.Equal(t, "300 jobs: 0 created, 0 changed, 290 unchanged, 10 deleted", pruned.last())
	require.Equal(t, 0, diff().code, "there is no difference")
}

// An apply of which the 299th definition is refused changes nothing, and says where that stands.
func TestFilesAreAppliedAsAWhole(t *testing.T) {
	t.Parallel()
	service := start(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: testdb.New(t)}})
	dir := jobsDir(t)
	edit(t, dir, "29.yaml", "cron: 29 8 * * *", "cron: 29 28 * * *")
	refused := service.punctual(t, nil, "jobs", "apply", "-f", dir)
	require.Equal(t, 1, refused.code)
	require.Empty(t, refused.out)
	require.Contains(t, refused.err, filepath.Join(dir, "29.yaml")+":36: cron: ")
	require.Empty(t, service.punctual(t, nil, "jobs", "list", "-o", "name").out, "there are no jobs")

	edit(t, dir, "29.yaml", "cron: 29 28 * * *", "corn: 29 8 * * *")
	refused = service.punctual(t, nil, "jobs", "apply", "-f", dir)
	require.Contains(t, refused.err, filepath.Join(dir, "29.yaml")+":36: corn: ", "an unknown field is refused")
}

// Pipelines that apply the same files at the same moment make each job once.
func TestFilesAreAppliedByTwoAtOnce(t *testing.T) {
	t.Parallel()
	service := start(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: testdb.New(t)}})
	dir := jobsDir(t)
	_, err := buildCommand()
	require.NoError(t, err)
	pipelines := make([]ran, 4)
	var all sync.WaitGroup
	for n := range pipelines {
		all.Go(func() {
			pipelines[n] = service.punctual(t, nil, "jobs", "apply", "-f", dir, "--prune", "-l", "team=a", "--yes")
		})
	}
	all.Wait()
	created := 0
	for _, pipeline := range pipelines {
		require.Equal(t, 0, pipeline.code, pipeline.err)
		if strings.HasPrefix(pipeline.last(), "300 jobs: 300 created") {
			created++
		}
	}
	require.Equal(t, 1, created, "one has created all jobs, and the others have found them")
	listed, err := service.ListJobsWithResponse(t.Context(), nil)
	require.NoError(t, err)
	require.EqualValues(t, 300, listed.JSON200.Total)
}

// What export writes, apply takes back unchanged: values, secrets and odd keys included.
func TestFilesAreExported(t *testing.T) {
	t.Parallel()
	service := start(t, app.Config{
		Role: app.RoleAPI, SecretKeys: keyring(t, "a"), Database: app.DatabaseConfig{URL: testdb.New(t)},
	})
	dir := t.TempDir()
	writeFile(t, dir, "jobs.yml", `jobs:
- key: odd/.hidden/..
  name: "yes"
  runAt: 2040-01-31T09:30:00Z
  description: "two\nlines: #1"
  payload: { big: 1970670598291982290, huge: 1e400, text: "1e400", one: 1.0, hex: 0x1F, on: on, "null": ~, s: "~", day: "2040-01-31" }
---
key: http
name: http
intervalInSeconds: 60
pauseAfterFailures: 3
overlapPolicy: ALLOW_ALL
target:
  type: http
  url: https://example.com/
  headers: { X-A: "1", X-B: "true" }
  body: ""
  expectStatus: [200, 404]
  secretHeaders: { Authorization: "Bearer ${env:REPORTS_TOKEN}" }
`)
	writeFile(t, dir, "one.json", "{\n\t\"key\": \"json\",\n\t\"name\": \"\\ud83d\\ude00\", \"cron\": \"@daily\", \"payload\": \"a/b\"}")
	missing := service.punctual(t, nil, "jobs", "apply", "-f", dir)
	require.Equal(t, 1, missing.code)
	require.Contains(t, missing.err, "jobs.yml:19: target.secretHeaders.Authorization: the environment has no variable REPORTS_TOKEN")

	secret := []string{"REPORTS_TOKEN=" + signingSecret}
	applied := service.punctual(t, secret, "jobs", "apply", "-f", dir)
	require.Equal(t, 0, applied.code, applied.err)
	require.Equal(t, "3 jobs: 3 created, 0 changed, 0 unchanged, 0 deleted", applied.last())
	require.Equal(t, "3 jobs: 0 created, 0 changed, 3 unchanged, 0 deleted", service.punctual(t, secret, "jobs", "apply", "-f", dir).last())
	changed := service.punctual(t, []string{"REPORTS_TOKEN=another-secret-value"}, "jobs", "diff", "-f", dir)
	require.Equal(t, 2, changed.code)
	require.Contains(t, changed.out, "a secret of the target has another value")
	require.NotContains(t, changed.out+changed.err, "another-secret-value")

	service.createJob(t, "keyless", 3600, "null")
	out := filepath.Join(t.TempDir(), "out")
	exported := service.punctual(t, nil, "jobs", "export", "-d", out)
	require.Equal(t, 0, exported.code, exported.err)
	require.Contains(t, exported.err, "1 jobs have no key")
	text, err := os.ReadFile(filepath.Join(out, "http.yaml"))
	require.NoError(t, err)
	assert.Contains(t, string(text), "secretHeaders.Authorization", "a comment names the secret")
	assert.NotContains(t, string(text), "misfirePolicy", "defaults are left out")
	back := service.punctual(t, nil, "jobs", "apply", "-f", out)
	require.Equal(t, ran{out: "3 jobs: 0 created, 0 changed, 3 unchanged, 0 deleted\n"}, back)

	whole := service.punctual(t, nil, "jobs", "export")
	require.Equal(t, 0, whole.code, whole.err)
	writeFile(t, out, "whole.yaml", whole.out)
	back = service.punctual(t, nil, "jobs", "apply", "-f", filepath.Join(out, "whole.yaml"))
	require.Equal(t, ran{out: "3 jobs: 0 created, 0 changed, 3 unchanged, 0 deleted\n"}, back)
}

// The example can be applied.
func TestExampleOfFilesIsApplied(t *testing.T) {
	t.Parallel()
	service := start(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: testdb.New(t)}})
	example, err := filepath.Abs("../../examples/jobs")
	require.NoError(t, err)
	applied := service.punctual(t, nil, "jobs", "apply", "-f", example, "--prune", "-l", "team=payments")
	require.Equal(t, 0, applied.code, applied.err)
	require.Equal(t, "2 jobs: 2 created, 0 changed, 0 unchanged, 0 deleted", applied.last())
}
