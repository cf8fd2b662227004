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

// dataDir returns an empty directory that PostgreSQL's user can enter as well. Only the owner of
// t.TempDir may enter that one.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "punctual-test-") //nolint:usetesting // see above
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// serve starts the service with the built-in PostgreSQL and returns when it serves.
func serve(t *testing.T, binary, data string) (*exec.Cmd, *client.ClientWithResponses) {
	t.Helper()
	cmd := exec.Command(binary, "serve", "--embedded", "--port=0", "--poll-interval=100ms", "--data-dir="+data)
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

// A killed service loses no job on the built-in PostgreSQL, and its schedules have no gap.
func TestServe_continuesAfterAKill(t *testing.T) {
	t.Parallel()
	binary, data := build(t), dataDir(t)
	cmd, service := serve(t, binary, data)
	created, err := service.CreateJobWithResponse(t.Context(), nil, client.JobCreate{Name: "survivor", IntervalInSeconds: new(int64(1))})
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
	limit, status := client.Limit(100), client.RunStatuses{client.RunStatusSUCCEEDED}
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
