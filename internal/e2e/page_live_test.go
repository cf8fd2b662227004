package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// A page follows what happens, without losing the focus, and stops when somebody pauses it.
func TestPageLive(t *testing.T) {
	t.Parallel()
	service, db := setup(t)
	job := service.due(t, db, "")
	b := openTab(t, service)
	b.open("/runs")
	b.until(`document.getElementById("live")._htmx?.sse?.status === 200`, "the stream is open")
	// Somebody has chosen the run while it waits.
	b.sees("#runs-list input[type=checkbox]")
	b.reads("#runs-list", "Pending")
	b.click("#runs-list input[type=checkbox]")
	const chosen = `document.activeElement.name + document.activeElement.value + document.activeElement.checked`
	before := eval[string](b, chosen)

	service.executes(t, 1)
	run := service.listRuns(t, job.Id)[0]
	require.Equal(t, client.RunStatusSUCCEEDED, run.Status)
	b.reads("#run-"+run.Id.String(), "Succeeded")
	require.Equal(t, "ids"+run.Id.String()+"true", before)
	require.Equal(t, before, eval[string](b, chosen), "the focus and the choice are where they were")

	b.click("#live-pause")
	require.Equal(t, "true", eval[string](b, `document.getElementById("live-pause").ariaPressed`))
	asked := eval[int](b, `performance.getEntriesByType("resource").length`)
	second := service.startRun(t, job.Id, "")
	service.executes(t, 1)
	eval[any](b, `new Promise((told) => document.getElementById("live").addEventListener("changed", () => setTimeout(told, 2500), {once: true}))`)
	require.Equal(t, asked, eval[int](b, `performance.getEntriesByType("resource").length`), "nothing is asked for")
	b.click("#live-pause")
	b.until(`document.querySelector('#runs-list').innerHTML.includes('`+second.Id.String()+`')`, "the run is shown")
}
