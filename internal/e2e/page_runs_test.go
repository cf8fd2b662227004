package e2e

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// failedRuns makes runs that have failed, and returns them, newest first.
func (i instance) failedRuns(t *testing.T, count int) []client.Run {
	t.Helper()
	job := i.create(t, `{"name":"import","onDemand":true,"maxAttempts":1,"overlapPolicy":"ALLOW_ALL","labels":{"team":"a"},`+
		`"target":{"type":"worker","queue":"q"},"payload":{"figures":[40,2]}}`)
	for range count {
		i.startRun(t, job.Id, "")
		i.fail(t, i.leaseOne(t, "q"), `,"error":"no luck"`)
	}
	return i.listRuns(t, job.Id)
}

// The list of runs is filtered by its URL, and while somebody types.
func TestPageRuns(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	failed := service.failedRuns(t, 2)
	open := service.startRun(t, failed[0].JobId, "")

	b := openTab(t, service)
	b.open("/runs")
	for _, run := range append(failed, open) {
		b.sees("#run-" + run.Id.String())
	}
	b.reads("#run-"+failed[0].Id.String(), "no luck")
	b.reads("#run-"+open.Id.String(), "Waits for a worker")

	b.click(`input[name=status][value=FAILED]`)
	b.until(`!document.getElementById("run-`+open.Id.String()+`")`, "the open run is not listed")
	b.sees("#run-" + failed[1].Id.String())
	require.Contains(t, b.path(), "status=FAILED", "the filter is in the URL")

	b.fill("input[name=labelSelector]", "team=b")
	b.reads("#runs-list", "No run matches")
	b.open("/runs?status=FAILED,RUNNING&labelSelector=team%3Da")
	b.sees("#run-" + failed[1].Id.String())
	b.open("/runs?from=yesterday")
	b.reads("[role=alert]", "is no time")
	b.expected = append(b.expected, "400")
}

// A change of many runs says for how many it is, and does it only then.
func TestPageRuns_bulk(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	failed := service.failedRuns(t, 3)
	b := openTab(t, service)
	b.open("/runs?status=FAILED")
	b.click(`button[value=RETRY]`)
	b.reads("#notice", "Select runs first.")
	require.Equal(t, "/runs?status=FAILED", b.path(), "boxes that are not checked do not stand for all")
	b.click(`input[name=of][value=all]`)
	b.click(`button[value=RETRY]`)
	b.reads("#bulk", "Retry 3 runs?")
	require.Len(t, service.listRuns(t, failed[0].JobId), 3, "nothing has happened yet")
	b.click(`#bulk button`)
	b.reads("#notice", "3 runs retried.")
	require.Len(t, service.listRuns(t, failed[0].JobId), 6)
	require.Equal(t, "/runs?status=FAILED", b.path(), "the list is as it was")

	b.click(`#run-` + failed[0].Id.String() + ` input`)
	b.click(`button[value=RETRY]`)
	b.reads("#bulk", "nothing to retry")
	b.reads("#bulk", "1 run of those that match stay")

	b.open("/runs")
	b.click(`input[name=of][value=all]`)
	b.click(`button[value=CANCEL]`)
	b.reads("#bulk", "Cancel 3 runs?")
	b.do(chromedp.Focus(chromedp.CSS("#bulk button")))
	b.press("\r")
	b.reads("#notice", "3 runs canceled.")
}

func runsShown(t *testing.T, service instance) string {
	t.Helper()
	service.failedRuns(t, 2)
	return "/runs"
}
