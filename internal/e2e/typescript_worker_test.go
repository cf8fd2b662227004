package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/access"
	"punctual/internal/app"
	"punctual/internal/keys"
	"punctual/internal/testdb"
)

// question is a request of a worker in the middle of a run. The run waits for its answer.
type question struct {
	answer chan<- string   // an empty answer is a failure
	gone   <-chan struct{} // closed when the worker no longer waits for the answer
}

// figures starts a server of figures for the worker of reports.ts.
func figures(t *testing.T) (url string, asked <-chan question) {
	t.Helper()
	questions := make(chan question)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := make(chan string, 1)
		select {
		case questions <- question{answer, r.Context().Done()}:
		case <-r.Context().Done():
			return
		}
		select {
		case figures := <-answer:
			if figures == "" {
				w.WriteHeader(http.StatusInternalServerError)
			}
			_, _ = io.WriteString(w, figures)
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, questions
}

// startReports starts a worker of reports.ts.
func (i instance) startReports(t *testing.T, leaseSeconds, graceSeconds int) *program {
	t.Helper()
	return runTypeScript(t, "reports.js", []string{
		"PUNCTUAL_URL=" + i.url,
		"PUNCTUAL_KEY=" + strings.TrimPrefix(i.header.Get("Authorization"), "Bearer "),
		"LEASE_SECONDS=" + strconv.Itoa(leaseSeconds),
		"GRACE_SECONDS=" + strconv.Itoa(graceSeconds),
	})
}

// createReport creates a job for the worker of reports.ts. Its runs are started by requests.
func (i instance) createReport(t *testing.T, figures string) client.Job {
	t.Helper()
	return i.create(t, `{"name":"report","intervalInSeconds":3600,"minBackoffSeconds":0,"maxBackoffSeconds":0,
		"target":{"type":"worker","queue":"reports"},"payload":{"figures":"`+figures+`"}}`)
}

// If a worker is killed in the middle of a run, another worker makes the second attempt, and
// reports of the first one change nothing. The workers have a key for their queue alone.
func TestTypeScriptWorkerIsKilled(t *testing.T) {
	t.Parallel()
	databaseURL := testdb.New(t)
	service := start(t, app.Config{Auth: app.AuthRequired, Database: app.DatabaseConfig{URL: databaseURL}})
	db := connect(t, databaseURL)
	_, key := makeKey(t, db, access.DefaultNamespace, keys.Request{Description: "of a worker", Scopes: []access.Scope{access.Workers}, Queues: []string{"reports"}})
	worker := service.as(t, key)
	_, key = makeKey(t, db, access.DefaultNamespace, keys.Request{Description: "of who creates jobs"})
	service = service.as(t, key)
	url, asked := figures(t)
	job := service.createReport(t, url)
	run := service.startRun(t, job.Id, "")

	doomed := worker.startReports(t, 2, 0)
	await(t, asked, "the first worker executes the run")
	var token client.Token
	require.NoError(t, db.QueryRow(t.Context(), "select token from due where job_id = $1 and lease_id is not null", job.Id).Scan(&token))
	require.NoError(t, doomed.Kill())
	require.Error(t, doomed.wait(), "it was killed")

	second := worker.startReports(t, 60, 10)
	question := await(t, asked, "the second worker executes the run")
	service.refuses(t, run, token)
	require.EqualValues(t, 2, service.readRun(t, run.Id).Attempt)

	question.answer <- "[40, 2]"
	ended := service.waitForRun(t, run.Id, client.RunStatusSUCCEEDED)
	require.EqualValues(t, 2, ended.Attempt)
	require.Equal(t, "the sum is 42", ended.Result.Output)
	service.refuses(t, run, token)
	require.Equal(t, ended, service.readRun(t, run.Id), "late reports change nothing")

	require.NoError(t, second.Signal(syscall.SIGTERM))
	require.NoError(t, second.wait(), "a worker that waits stops at once")
}

// refuses sends each report of a worker with an outdated token.
func (i instance) refuses(t *testing.T, run client.Run, token client.Token) {
	t.Helper()
	completed, err := i.CompleteRunWithResponse(t.Context(), run.Id, client.RunCompletion{Token: token, Output: new("late")})
	require.NoError(t, err)
	assert.Equal(t, http.StatusConflict, completed.StatusCode(), "it cannot be completed: %s", completed.Body)
	failed, err := i.FailRunWithResponse(t.Context(), run.Id, client.RunFailure{Token: token, Error: "late"})
	require.NoError(t, err)
	assert.Equal(t, http.StatusConflict, failed.StatusCode(), "it cannot be failed: %s", failed.Body)
	released, err := i.ReleaseRunWithResponse(t.Context(), run.Id, client.RunRelease{Token: token})
	require.NoError(t, err)
	assert.Equal(t, http.StatusConflict, released.StatusCode(), "it cannot be released: %s", released.Body)
}

// A worker reports a failed attempt and gets the next one, extends its lease, and stops when the
// cancellation of its run is requested.
func TestTypeScriptWorkerFailsAndIsCanceled(t *testing.T) {
	t.Parallel()
	databaseURL := testdb.New(t)
	service := start(t, app.Config{Database: app.DatabaseConfig{URL: databaseURL}})
	db := connect(t, databaseURL)
	url, asked := figures(t)
	run := service.startRun(t, service.createReport(t, url).Id, "")
	service.startReports(t, 6, 0)

	await(t, asked, "the first attempt").answer <- ""
	second := await(t, asked, "the second attempt")
	failed := service.readRun(t, run.Id).FailedAttempts
	require.Len(t, failed, 1)
	require.Equal(t, "Error: could not read the figures: 500", failed[0].Error)
	require.Eventually(t, func() bool {
		return count(t, db, "select count(*) from leases where expires_at > created_at + duration") == 1
	}, patience, 50*time.Millisecond, "a heartbeat extends the lease")

	require.Equal(t, http.StatusAccepted, service.cancel(t, run.Id).StatusCode(), "the cancellation is requested")
	await(t, second.gone, "the worker stops the second attempt")
	ended := service.waitForRun(t, run.Id, client.RunStatusCANCELED)
	require.EqualValues(t, 2, ended.Attempt)
}

// Numbers of a payload arrive at the worker as they were given, although JavaScript would round
// them.
func TestTypeScriptWorkerKeepsLargeNumbers(t *testing.T) {
	t.Parallel()
	service := start(t, app.Config{Database: app.DatabaseConfig{URL: testdb.New(t)}})
	job := service.create(t, `{"name":"report","intervalInSeconds":3600,"target":{"type":"worker","queue":"reports"},
		"payload":{"figures":"data:application/json,[40,2]","id":1,"id":1970670598291982290,"tiny":1e-400,"huge":1e400}}`)
	run := service.startRun(t, job.Id, "")
	service.startReports(t, 60, 0)
	ended := service.waitForRun(t, run.Id, client.RunStatusSUCCEEDED)
	require.Equal(t, "the sum of report 1970670598291982290 is 42", ended.Result.Output)
}

// A worker that is stopped has some time to end its run. After that it releases the run, and the
// attempt does not count.
func TestTypeScriptWorkerStops(t *testing.T) {
	t.Parallel()
	service := start(t, app.Config{Database: app.DatabaseConfig{URL: testdb.New(t)}})
	url, asked := figures(t)
	run := service.startRun(t, service.createReport(t, url).Id, "")

	hasty := service.startReports(t, 60, 0)
	await(t, asked, "the first worker executes the run")
	require.NoError(t, hasty.Signal(syscall.SIGTERM))
	require.NoError(t, hasty.wait(), "it stops")
	released := service.readRun(t, run.Id)
	require.Equal(t, client.RunStatusPENDING, released.Status, "it has released the run")
	require.Zero(t, released.Attempt, "the attempt does not count")

	patient := service.startReports(t, 60, 600)
	question := await(t, asked, "the second worker executes the run")
	require.NoError(t, patient.Signal(syscall.SIGTERM))
	question.answer <- "[40, 2]"
	require.NoError(t, patient.wait(), "it stops")
	ended := service.readRun(t, run.Id)
	require.Equal(t, client.RunStatusSUCCEEDED, ended.Status, "it has ended the run first")
	require.EqualValues(t, 1, ended.Attempt)
}
