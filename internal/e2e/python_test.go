package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/app"
	"punctual/internal/keys"
	"punctual/internal/testdb"
	"punctual/internal/testdb/need"
)

// pythonDir has the programs in Python.
const pythonDir = "../../examples/python"

// runPython starts a program of pythonDir.
func runPython(t *testing.T, name string, env []string, args ...string) *program {
	t.Helper()
	python := need.Program(t, "python3", "python3")
	// The tests leave no compiled files in the checkout.
	env = append(env, "PYTHONDONTWRITEBYTECODE=1")
	return runProgram(t, env, python, append([]string{filepath.Join(pythonDir, name)}, args...)...)
}

// The client in Python knows each operation of the contract, and each does what it says.
func TestPythonClientCallsEachOperation(t *testing.T) {
	t.Parallel()
	service := start(t, app.Config{Database: app.DatabaseConfig{URL: testdb.New(t)}})
	calls := runPython(t, "operations.py", []string{"PUNCTUAL_URL=" + service.url})
	called := map[string]bool{}
	for line := range calls.lines {
		called[line] = true
	}
	require.NoError(t, calls.wait(), "each answer is as expected")

	spec, err := server.GetSpec()
	require.NoError(t, err)
	for _, item := range spec.Paths.Map() {
		for _, op := range item.Operations() {
			assert.True(t, called[op.OperationID], "%s is called", op.OperationID)
		}
	}
}

// A worker in Python, with a key for its queue alone, executes runs: it reports failures and
// outputs, extends its lease, and stops when the cancellation of a run is requested.
func TestPythonWorkerExecutesRuns(t *testing.T) {
	t.Parallel()
	databaseURL := testdb.New(t)
	service := start(t, app.Config{Auth: app.AuthRequired, Database: app.DatabaseConfig{URL: databaseURL}})
	db := connect(t, databaseURL)
	_, workersKey := makeKey(t, db, access.DefaultNamespace, keys.Request{
		Description: "of a worker", Scopes: []access.Scope{access.Workers}, Queues: []string{"reports"},
	})
	_, key := makeKey(t, db, access.DefaultNamespace, keys.Request{Description: "of who creates jobs"})
	service = service.as(t, key)
	url, asked := figures(t)
	job := service.createReport(t, url)
	run := service.startRun(t, job.Id, "")
	runPython(t, "reports.py", []string{
		"PUNCTUAL_URL=" + service.url, "PUNCTUAL_KEY=" + workersKey, "LEASE_SECONDS=6", "GRACE_SECONDS=0",
	})

	await(t, asked, "the first attempt").answer <- ""
	second := await(t, asked, "the second attempt")
	failed := service.readRun(t, run.Id).FailedAttempts
	require.Len(t, failed, 1)
	require.Equal(t, "HTTPError: HTTP Error 500: Internal Server Error", failed[0].Error)
	require.Eventually(t, func() bool {
		return count(t, db, "select count(*) from leases where expires_at > created_at + duration") == 1
	}, patience, 50*time.Millisecond, "a heartbeat extends the lease")
	second.answer <- "[40, 2]"
	ended := service.waitForRun(t, run.Id, client.RunStatusSUCCEEDED)
	require.Equal(t, "the sum is 42", ended.Result.Output)
	require.EqualValues(t, 2, ended.Attempt)

	canceled := service.startRun(t, job.Id, "")
	await(t, asked, "the worker executes the run")
	require.Equal(t, http.StatusAccepted, service.cancel(t, canceled.Id).StatusCode(), "the cancellation is requested")
	service.waitForRun(t, canceled.Id, client.RunStatusCANCELED)

	large := service.create(t, `{"name":"report","intervalInSeconds":3600,"target":{"type":"worker","queue":"reports"},
		"payload":{"figures":"data:application/json,[40,2]","id":1970670598291982290}}`)
	ended = service.waitForRun(t, service.startRun(t, large.Id, "").Id, client.RunStatusSUCCEEDED)
	require.Equal(t, "the sum of report 1970670598291982290 is 42", ended.Result.Output, "a large number keeps its digits")

	hopeless := service.create(t, `{"name":"report","intervalInSeconds":3600,"target":{"type":"worker","queue":"reports"}}`)
	ended = service.waitForRun(t, service.startRun(t, hopeless.Id, "").Id, client.RunStatusFAILED)
	require.EqualValues(t, 1, ended.Attempt, "no attempt could help")
}

// A worker in Python that is stopped has some time to end its run. After that it releases the run,
// and the attempt does not count.
func TestPythonWorkerStops(t *testing.T) {
	t.Parallel()
	service := start(t, app.Config{Database: app.DatabaseConfig{URL: testdb.New(t)}})
	url, asked := figures(t)
	run := service.startRun(t, service.createReport(t, url).Id, "")

	hasty := runPython(t, "reports.py", []string{"PUNCTUAL_URL=" + service.url, "LEASE_SECONDS=60", "GRACE_SECONDS=0"})
	await(t, asked, "the first worker executes the run")
	require.NoError(t, hasty.Signal(syscall.SIGTERM))
	require.NoError(t, hasty.wait(), "it stops")
	released := service.readRun(t, run.Id)
	require.Equal(t, client.RunStatusPENDING, released.Status, "it has released the run")
	require.Zero(t, released.Attempt, "the attempt does not count")

	patient := runPython(t, "reports.py", []string{"PUNCTUAL_URL=" + service.url, "LEASE_SECONDS=60", "GRACE_SECONDS=600"})
	question := await(t, asked, "the second worker executes the run")
	require.NoError(t, patient.Signal(syscall.SIGTERM))
	question.answer <- "[40, 2]"
	require.NoError(t, patient.wait(), "it stops")
	ended := service.readRun(t, run.Id)
	require.Equal(t, client.RunStatusSUCCEEDED, ended.Status, "it has ended the run first")
	require.EqualValues(t, 1, ended.Attempt)
}

// A worker that leases several runs at a time executes and reports all of them.
func TestPythonWorkerReportsBatches(t *testing.T) {
	t.Parallel()
	databaseURL := testdb.New(t)
	service := start(t, app.Config{Database: app.DatabaseConfig{URL: databaseURL}})
	db := connect(t, databaseURL)
	url, asked := figures(t)
	var runs []client.Run
	for range 3 {
		runs = append(runs, service.startRun(t, service.createReport(t, url).Id, ""))
	}
	worker := runPython(t, "reports.py", []string{"PUNCTUAL_URL=" + service.url, "LEASE_SECONDS=60", "GRACE_SECONDS=600", "BATCH=10"})
	for n := range 2 {
		question := await(t, asked, "the worker executes a run")
		require.Equal(t, 1, count(t, db, "select count(*) from leases where cardinality(job_ids) = 3"), "one lease has all")
		if n == 1 { // the last of the three is given back
			require.NoError(t, worker.Signal(syscall.SIGTERM))
			for line := range worker.lines { // a thread of the worker's notices the signal
				if strings.Contains(line, "stopping") {
					break
				}
			}
		}
		question.answer <- "[40, 2]"
	}
	require.NoError(t, worker.wait(), "it stops")
	ended := map[client.RunStatus]int{}
	for _, run := range runs {
		run = service.readRun(t, run.Id)
		ended[run.Status]++
	}
	require.Equal(t, map[client.RunStatus]int{client.RunStatusSUCCEEDED: 2, client.RunStatusPENDING: 1}, ended)
}

// The deploy script in Python makes jobs be as the files of a directory say, and names the file of
// a mistake.
func TestPythonDeploys(t *testing.T) {
	t.Parallel()
	service := start(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: testdb.New(t)}})
	dir := t.TempDir()
	write := func(name, content string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	deploy := func(args ...string) (lines []string, err error) {
		t.Helper()
		script := runPython(t, "deploy.py", []string{"PUNCTUAL_URL=" + service.url}, append([]string{dir}, args...)...)
		for line := range script.lines {
			lines = append(lines, line)
		}
		return lines, script.wait()
	}
	write("one.json", `{"key": "one", "name": "one", "cron": "@daily", "labels": {"team": "a"}}`)
	write("two.json", `[{"key": "two", "name": "two", "cron": "@daily", "labels": {"team": "a"}}]`)
	lines, err := deploy("--prune", "team=a")
	require.NoError(t, err)
	require.Equal(t, []string{"CREATED one", "CREATED two", "2 jobs: 2 created 0 changed 0 unchanged 0 pruned"}, lines)
	lines, err = deploy("--prune", "team=a")
	require.NoError(t, err)
	require.Equal(t, []string{"2 jobs: 0 created 0 changed 2 unchanged 0 pruned"}, lines)

	write("two.json", `[{"key": "two", "name": "two", "cron": "nonsense"}]`)
	lines, err = deploy()
	require.Error(t, err, "a mistake changes nothing")
	require.Contains(t, lines[0], "two.json: cron: ")
	require.NoError(t, os.Remove(filepath.Join(dir, "two.json")))
	lines, err = deploy("--prune", "team=a")
	require.NoError(t, err)
	require.Equal(t, []string{"PRUNED two", "1 jobs: 0 created 0 changed 1 unchanged 1 pruned"}, lines)
}
