package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/app"
	"punctual/internal/testdb"
)

// The page of a run shows its course, what was sent and what came back, and what belongs to it.
func TestPageRun(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	run := service.failedRuns(t, 1)[0]
	b := openTab(t, service)
	b.open("/runs")
	b.click("#run-" + run.Id.String() + " a")
	b.reads("h1", "Run of import")
	b.reads(".head", "Failed")
	b.reads(".steps", "Attempt 1 failed")
	require.Contains(t, eval[string](b, `document.querySelector("svg.course").getAttribute("aria-label")`), "Attempt 1 failed",
		"the bar has a text alternative")
	b.reads("[aria-labelledby=request]", "a worker of the queue q")
	b.reads("[aria-labelledby=request]", `"figures": [`)
	b.reads("[aria-labelledby=answer]", "no luck")

	b.click(".head .buttons button")
	b.reads("#notice", "This is the retry.")
	runs := service.listRuns(t, run.JobId)
	require.Len(t, runs, 2)
	require.Equal(t, "/runs/"+runs[0].Id.String(), b.path())
	b.reads(".head", "Pending")

	b.click(".head .buttons button")
	b.sees("dialog#confirm")
	b.click("dialog#confirm button[value=no]")
	require.Nil(t, service.readRun(t, runs[0].Id).CancelRequestedAt)
	b.click(".head .buttons button")
	b.sees("dialog#confirm")
	b.click("dialog#confirm button[value=yes]")
	b.reads("#notice", "The run will be canceled.")
	require.NotNil(t, service.readRun(t, runs[0].Id).CancelRequestedAt)

	b.click(`[aria-labelledby=relations] a[href="/runs/` + run.Id.String() + `"]`)
	b.reads("[aria-labelledby=relations]", "Pending")
	b.open("/runs/nonsense")
	b.reads("h1", "Not Found")
	b.expected = append(b.expected, "404")
}

// A run that was repeated shows each attempt, with what came of it.
func TestPageRun_attempts(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.due(t, pool, `,"target":{"type":"worker","queue":"q"},"maxAttempts":3,"minBackoffSeconds":1,"maxBackoffSeconds":1`)
	service.fail(t, service.leaseOne(t, "q"), `,"error":"out of luck"`)
	run := service.listRuns(t, job.Id)[0]
	b := openTab(t, service)
	b.open("/runs/" + run.Id.String())
	b.reads(".steps", "out of luck")
	b.reads(".steps", "Waits for")
	require.Equal(t, 1, eval[int](b, `document.querySelectorAll("svg.course rect.bad").length`))
	service.complete(t, service.leaseOne(t, "q"), `,"output":"{\"rows\": 42}"`)
	b.open("/runs/" + run.Id.String())
	b.reads(".steps", "Waited for the next attempt")
	b.reads(".steps", "Attempt 2 succeeded")
	b.reads("[aria-labelledby=answer]", `"rows": 42`)
}

// A run leads to those that its events have started, and they lead back.
func TestPageRun_causes(t *testing.T) {
	t.Parallel()
	service := start(t, app.Config{Database: app.DatabaseConfig{URL: testdb.New(t)}})
	alert := service.create(t, `{"name":"alert","startsOn":{"events":["run.failed"]}}`)
	failed := service.failedRuns(t, 1)[0]
	require.Eventually(t, func() bool { return len(service.listRuns(t, alert.Id)) == 1 }, 20*time.Second, 10*time.Millisecond)
	caused := service.listRuns(t, alert.Id)[0]

	b := openTab(t, service)
	b.open("/runs/" + failed.Id.String())
	b.reads("[aria-labelledby=relations]", "alert")
	b.click(`[aria-labelledby=relations] a[href="/runs/` + caused.Id.String() + `"]`)
	b.reads("h1", "Run of alert")
	b.sees(`[aria-labelledby=relations] a[href="/runs/` + failed.Id.String() + `"]`)
}
