package e2e

import (
	"net/http"
	"net/url"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// jobsShown makes jobs of all kinds that a list shows, and returns one with a run that was
// executed.
func jobsShown(t *testing.T, service instance) client.Job {
	t.Helper()
	var last client.Job
	for _, job := range []client.JobCreate{
		{Name: "nightly-report", Key: new("reports/nightly"), Cron: new("30 2 * * *"), TimeZone: new("Europe/Berlin"), Labels: &client.Labels{"team": "reports"}},
		{Name: "spread", Cron: new("H 2 * * *")},
		{Name: "every second Tuesday", Rrule: new("DTSTART:20260106T090000\nRRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=TU")},
		{Name: "tell the team", StartsOn: &client.StartsOn{Events: []client.EventName{client.EventNameJobFailing}}},
		{
			Name: "payments with a name that is longer than a phone is wide", Key: new("payments/settle"), IntervalInSeconds: new(int64(3600)),
			Labels: &client.Labels{"team": "payments", "owner": "somebody.with.a.long.name"},
		},
	} {
		created, err := service.CreateJobWithResponse(t.Context(), nil, job)
		require.NoError(t, err)
		require.Equal(t, http.StatusCreated, created.StatusCode(), "created: %s", created.Body)
		last = *created.JSON201
	}
	started, err := service.RunJobWithResponse(t.Context(), last.Id, nil, client.RunStart{})
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, started.StatusCode())
	require.Positive(t, service.pass(t))
	return last
}

func rowOf(job client.Job) string { return "#job-" + job.Id.String() }

// The list of jobs finds them while somebody types, and says of each how it is.
func TestPageJobs(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	paid := jobsShown(t, service)
	b := openTab(t, service)
	b.expected = []string{"400 (Bad Request)"} // a label selector that is none
	b.open("/")
	b.press("g")
	b.press("j")
	b.reads("h1", "Jobs")
	b.reads("#jobs", "nightly-report")
	b.reads("#jobs", "Every day at 02:30")
	b.reads("#jobs", "30 2 * * * Europe/Berlin")
	b.reads("#jobs", "H 2 * * *")
	b.reads(rowOf(paid), "OK")
	b.reads(rowOf(paid), "Every hour")
	require.Contains(t, eval[string](b, `document.querySelector("`+rowOf(paid)+` svg").getAttribute("aria-label")`), "Last 1 run: 1 succeeded",
		"the strip has a text alternative")

	for text, said := range map[string]string{
		"LONGER":         "name contains LONGER",
		"payments/":      "key begins with payments/",
		"pa":             "key begins with pa",
		"team=payments":  "labels match team=payments",
		paid.Id.String(): "with this id",
	} {
		b.fill("input[type=search]", text)
		b.reads("#jobs", said)
		b.until(`document.querySelectorAll("#job-list tbody tr").length === 1`, "%s finds one job", text)
		b.sees(rowOf(paid))
		b.until(`location.pathname + location.search === `+quoted("/jobs?"+url.Values{"q": {text}}.Encode()),
			"the filter %s is in the URL, and no empty one", text)
	}
	b.fill("input[type=search]", "team==,")
	b.reads("#jobs .problem", "labelSelector")

	b.open("/jobs?health=OK,PAUSED")
	b.until(`document.querySelectorAll("#job-list tbody tr").length === 1`, "one job is OK")
	require.Equal(t, 2, eval[int](b, `document.querySelectorAll("[name=health]:checked").length`))
}

// What can be done in the list is done there, and the list is shown again as it was.
func TestPageJobs_actions(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	job := service.createJob(t, "import", 3600, `null`)
	b := openTab(t, service)
	b.open("/jobs?q=import")
	b.click(rowOf(job) + ` form[action$="/run-now"] button`)
	b.reads("#notice", "A run was started.")
	require.Len(t, service.listRuns(t, job.Id), 1)
	require.Equal(t, "/jobs?q=import", b.path())
	b.click(rowOf(job) + ` form[action$="/pause-now"] button`)
	b.reads(rowOf(job), "Paused")
	require.Equal(t, client.JobStatusPAUSED, service.getJob(t, job.Id).Status)
	b.click(rowOf(job) + ` form[action$="/resume"] button`)
	b.reads("#notice", "The job goes on.")
	require.Equal(t, client.JobStatusACTIVE, service.getJob(t, job.Id).Status)
}

// A bulk change says first how many jobs it is about, and goes on until all of them are done.
func TestPageJobs_bulk(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	const all = 1200 // more than two parts
	for from := 0; from < all; from += 400 {
		var jobs []client.JobCreate
		for n := range 400 {
			jobs = append(jobs, client.JobCreate{Name: "bulk " + strconv.Itoa(from+n), OnDemand: new(true), Labels: &client.Labels{"n": strconv.Itoa(n % 2)}})
		}
		created, err := service.CreateJobsWithResponse(t.Context(), nil, client.JobBatch{Jobs: jobs})
		require.NoError(t, err)
		require.Equal(t, http.StatusCreated, created.StatusCode(), "created")
	}
	b := openTab(t, service)
	b.open("/jobs")
	b.click(`#bulk button[value=PAUSE]`)
	b.reads("#notice", "Select jobs first.")

	b.click(`#job-list tbody tr:nth-child(1) [name=id]`)
	b.click(`#job-list tbody tr:nth-child(2) [name=id]`)
	b.click(`#bulk button[value=RUN]`)
	b.reads(".count", "2 jobs")
	b.click("main .primary")
	b.reads("#progress", "Started a run of 2 jobs.")
	b.click("#progress a")

	b.sees("#bulk")
	b.click("[name=of][value=all]")
	b.click(`#bulk button[value=PAUSE]`)
	b.reads(".count", strconv.Itoa(all)+" jobs")
	b.fill("[name=reason]", "the bank is closed")
	b.click("main .primary")
	b.reads("#progress", "Paused 1200 jobs.")
	b.click("#progress a:last-child")
	b.reads("#jobs", "the bank is closed")
	require.Contains(t, b.path(), "pauseId=", "just those that this pause has paused")
	b.reads(".foot", "1200 jobs")

	b.open("/jobs?q=n%3D1")
	b.click("[name=of][value=all]")
	b.click(`#bulk button[value=DELETE]`)
	b.reads(".count", "600 jobs match. They cannot be brought back.")
	b.click("main .danger")
	b.reads("#progress", "Deleted 600 jobs.")
	b.click("#progress a")
	b.reads("#jobs", "No job matches these filters.")
}

// Filters are kept under a name in the browser.
func TestPageJobs_savedFilters(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	jobsShown(t, service)
	b := openTab(t, service)
	b.open("/jobs?q=team%3Dpayments")
	b.click("[data-save]")
	b.fill("#saved-jobs", "My team")
	b.press("\r")
	b.reads(".saved li", "My team")
	b.open("/jobs")
	b.click(".saved li a")
	b.reads("#jobs", "labels match team=payments")
	b.click(".saved li button")
	b.until(`document.querySelectorAll(".saved li").length === 0`, "the filter is forgotten")
}

// jobShown is the path of a page of a job.
func jobShown(page string) func(*testing.T, instance) string {
	return func(t *testing.T, service instance) string {
		t.Helper()
		found, err := service.GetJobByKeyWithResponse(t.Context(), "payments/settle")
		require.NoError(t, err)
		job := found.JSON200
		if job == nil {
			job = new(jobsShown(t, service))
		}
		return "/jobs/" + job.Id.String() + page
	}
}
