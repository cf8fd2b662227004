package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// build compiles the command once for a test.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "punctual")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, "the command compiles: %s", out)
	return binary
}

// dataDir returns an empty directory that PostgreSQL's user can reach too: not one of t.TempDir, which only its owner
// may enter.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "punctual-test-") //nolint:usetesting // see above
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// serve starts the service with a PostgreSQL of its own and returns once it serves.
func serve(t *testing.T, binary, data string) (*exec.Cmd, *client.ClientWithResponses) {
	t.Helper()
	cmd := exec.Command(binary, "serve", "--port=0", "--poll-interval=100ms", "--data-dir="+data)
	cmd.Dir = t.TempDir() // no .env
	cmd.Env = append(os.Environ(), "DATABASE_URL=")
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())

	lines := bufio.NewScanner(stderr)
	var log strings.Builder
	for lines.Scan() {
		log.WriteString(lines.Text() + "\n")
		var line struct{ Msg, URL string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
			go func() {
				for lines.Scan() { // or the pipe fills, and the service waits for it
				}
			}()
			c, err := client.NewClientWithResponses(line.URL)
			require.NoError(t, err)
			return cmd, c
		}
	}
	require.FailNow(t, "the service did not serve", log.String())
	return nil, nil
}

// A service that is killed loses no job, and the schedule goes on without a gap, on the same PostgreSQL of its own.
func TestKilledServiceGoesOn(t *testing.T) {
	t.Parallel()
	binary, data := build(t), dataDir(t)
	cmd, service := serve(t, binary, data)
	created, err := service.CreateJobWithResponse(t.Context(), client.JobCreate{Name: "survivor", IntervalInSeconds: new(int64(1))})
	require.NoError(t, err)
	job := *created.JSON201
	waitForRuns(t, service, job, 2)

	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())

	cmd, service = serve(t, binary, data)
	before := time.Now()
	require.Eventually(t, func() bool {
		runs := endedRuns(t, service, job)
		return len(runs) > 0 && runs[0].ScheduledFor.After(before)
	}, 20*time.Second, 100*time.Millisecond, "the schedule goes on")
	all := endedRuns(t, service, job)
	for n, run := range all {
		want := job.CreatedAt.Add(time.Duration(len(all)-n) * time.Second)
		require.Equal(t, want, run.ScheduledFor, "one run for each second, killed or not")
	}

	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, cmd.Wait(), "SIGTERM ends it with 0")
}

// endedRuns returns a job's newest runs that have ended.
func endedRuns(t assert.TestingT, service *client.ClientWithResponses, job client.Job) []client.Run {
	limit, status := client.Limit(100), client.RunStatusSUCCEEDED
	got, err := service.ListJobRunsWithResponse(context.Background(), job.Id, &client.ListJobRunsParams{Limit: &limit, Status: &status})
	if !assert.NoError(t, err) {
		return nil
	}
	return got.JSON200.Items
}

func waitForRuns(t *testing.T, service *client.ClientWithResponses, job client.Job, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return len(endedRuns(t, service, job)) >= n }, 20*time.Second, 50*time.Millisecond)
}

func TestMigrateByHand(t *testing.T) {
	t.Parallel()
	binary, data := build(t), dataDir(t)
	migrate := func(step string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), binary, "migrate", step, "--data-dir="+data)
		cmd.Dir = t.TempDir()
		cmd.Env = append(os.Environ(), "DATABASE_URL=")
		out, err := cmd.Output()
		require.NoError(t, err)
		return string(out)
	}
	require.Regexp(t, `^\[ \] \d{14}_create_scheduler\n`, migrate("status"))
	migrate("up")
	require.NotContains(t, migrate("status"), "[ ]")
	migrate("down")
	require.Contains(t, migrate("status"), "[ ]")
}

func TestRotateByHand(t *testing.T) {
	t.Parallel()
	binary, data := build(t), dataDir(t)
	rotate := func(keys string) (string, error) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), binary, "secrets", "rotate", "--data-dir="+data)
		cmd.Dir = t.TempDir()
		cmd.Env = append(os.Environ(), "DATABASE_URL=", "SECRET_KEYS="+keys)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	migrate := exec.CommandContext(t.Context(), binary, "migrate", "up", "--data-dir="+data)
	migrate.Dir, migrate.Env = t.TempDir(), append(os.Environ(), "DATABASE_URL=")
	require.NoError(t, migrate.Run())
	key, err := exec.CommandContext(t.Context(), binary, "secrets", "generate-key").Output()
	require.NoError(t, err)

	out, err := rotate(strings.TrimSpace(string(key)))
	require.NoError(t, err, "%s", out)
	require.Contains(t, out, `"jobs":0`, "there are no secrets")
	out, err = rotate("")
	require.Error(t, err)
	require.Contains(t, out, "no key to seal secrets with")
	out, err = rotate("id:hush")
	require.Error(t, err)
	require.Contains(t, out, "SECRET_KEYS")
	require.NotContains(t, out, "hush")
}

// What is wrong with the configuration is said in one sentence, without the password.
func TestWrongDatabaseURL(t *testing.T) {
	t.Parallel()
	binary := build(t)
	for url, want := range map[string]string{
		"postgres://me:s3cr3t@127.0.0.1:1/x": "connect: ",
		"postgres://me:s3cr3t@:bad/x":        "database url",
		"mysql://me:s3cr3t@127.0.0.1/x":      "database url",
	} {
		cmd := exec.CommandContext(t.Context(), binary, "serve", "--port=0", "--database-url="+url)
		cmd.Dir = t.TempDir()
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), want)
		require.NotContains(t, string(out), "s3cr3t")
	}
}
