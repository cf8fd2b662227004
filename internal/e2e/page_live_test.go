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

// What a page asks for again does not replace what somebody has filtered meanwhile.
func TestPageLive_keepsFilters(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	service.makeJobs(t, 3, "many", "")
	one := service.create(t, `{"name":"single","intervalInSeconds":3600}`)
	b := openTab(t, service)
	b.open("/jobs")
	// The answer to the first request that is made without anybody's doing comes late.
	eval[any](b, `
		window.held = new Promise((release) => { window.release = release; });
		const fetched = window.fetch;
		window.fetch = async (...of) => {
			const answer = fetched(...of);
			if (!window.isHeld) { window.isHeld = true; await window.held; }
			return answer;
		};
		document.addEventListener("htmx:before:swap", (event) => {
			if (event.target.id === "live") window.isStopped = event.defaultPrevented;
		});
		document.getElementById("live").dispatchEvent(new Event("changed"));
		0`)
	b.until(`window.isHeld`, "the page is asked for again")
	b.fill("input[type=search]", "single")
	b.until(`document.querySelectorAll("#job-list tbody tr").length === 1`, "one job is found")
	eval[any](b, `window.release()`)
	b.until(`window.isStopped !== undefined`, "the answer is there")
	require.True(t, eval[bool](b, `window.isStopped`))
	b.sees(rowOf(one))
	require.Equal(t, 1, eval[int](b, `document.querySelectorAll("#job-list tbody tr").length`))
}
