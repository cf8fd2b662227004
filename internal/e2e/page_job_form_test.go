package e2e

import (
	"net/http"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// The form of a new job shows when it is due while somebody types, and each refusal at its field.
func TestPageJobForm_create(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	b := openTab(t, service)
	b.expected = []string{"400 (Bad Request)"}
	b.open("/jobs")
	b.click(".head .primary")
	b.reads("h1", "New job")
	b.fill("#cron", "30 2 * * 9")
	b.reads("#preview", "day of week")
	b.fill("#cron", "30 2 * * *")
	b.fill("#timeZone", "Europe/Berlin")
	b.reads("#preview", "Every day at 02:30")
	b.reads("#preview", "Europe/Berlin")
	b.until(`document.querySelectorAll("#preview li").length === 5`, "the next five instants are shown")

	b.fill(`[name="target.url"]`, "ftp://example.com")
	b.fill("#payload", `{"report": "sales"}`)
	b.fill("#labels", "team=reports\nenv=prod")
	b.click(".policies summary")
	b.fill("#maxAttempts", "0")
	b.fill("#attemptDeadlineSeconds", "1m30s")
	b.click("main .buttons .primary")
	b.reads("#name-wrong", "minimum string length is 1")
	b.reads("#maxAttempts-wrong", "at least 1")
	require.Equal(t, "1m30s", eval[string](b, `document.querySelector("#attemptDeadlineSeconds").value`), "what was entered stays")
	b.fill("#name", "nightly")
	b.fill("#maxAttempts", "5")
	b.click("main .buttons .primary")
	b.reads(`[id="target.url-wrong"]`, "http")
	b.fill(`[name="target.url"]`, "https://example.com/run")
	b.click("main .buttons .primary")
	b.reads("#notice", "The job is created.")
	b.reads("h1", "nightly")

	list, err := service.ListJobsWithResponse(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, list.JSON200.Items, 1)
	job := list.JSON200.Items[0]
	require.Equal(t, "30 2 * * *", *job.Cron)
	require.Equal(t, client.Labels{"team": "reports", "env": "prod"}, job.Labels)
	require.EqualValues(t, 5, job.MaxAttempts)
	require.EqualValues(t, 90, job.AttemptDeadlineSeconds)
	require.EqualValues(t, 600, job.MaxBackoffSeconds, "what was not touched has its default")
	require.JSONEq(t, `{"report": "sales"}`, string(job.Payload))
}

// All kinds of schedules and targets can be chosen by the keyboard, and their fields follow.
func TestPageJobForm_kinds(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	b := openTab(t, service)
	b.open("/jobs/new")
	b.sees("#cron")
	eval[any](b, `document.querySelector("[name=schedule]:checked").focus()`)
	b.press("\u0303") // arrow right, in the keys of the browser's driver
	b.sees("#intervalInSeconds")
	b.until(`!document.querySelector("#cron").checkVisibility()`, "the fields of other kinds are hidden")
	b.fill("#name", "sum")
	b.fill("#intervalInSeconds", "90m")
	b.until(`document.querySelectorAll("#preview li").length === 5`, "the next five instants are shown")
	b.click(`[name="target.type"][value=worker]`)
	b.fill(`[name="target.queue"]`, "reports")
	b.click("main .buttons .primary")
	b.reads("#notice", "The job is created.")
	b.reads("[aria-labelledby=definition]", "a worker of the queue reports")
	b.reads("[aria-labelledby=definition]", "Every 90 minutes")

	b.open("/jobs/new")
	b.click("[name=schedule][value=startsOn]")
	b.click(`[value="job.failing"]`)
	b.fill(`[name="startsOn.jobs.labelSelector"]`, "team=payments")
	b.fill("#name", "tell the team")
	b.click(`[name="target.type"][value=log]`)
	b.click("main .buttons .primary")
	b.reads("[aria-labelledby=upcoming]", "job.failing")
	list, err := service.ListJobsWithResponse(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, "team=payments", *list.JSON200.Items[0].StartsOn.Jobs.LabelSelector)
}

// An edit sends what was changed, and nothing else. One in between is not overwritten.
func TestPageJobForm_edit(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	created, err := service.CreateJobWithResponse(t.Context(), nil, client.JobCreate{
		Name: "import", StartsOn: &client.StartsOn{Events: []client.EventName{client.EventNameRunFailed}, GroupWithinSeconds: new(int32(60))},
		Labels: &client.Labels{"team": "payments", "env": "prod"},
	})
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, created.StatusCode(), "created: %s", created.Body)
	job := *created.JSON201
	b := openTab(t, service)
	b.expected = []string{"412 (Precondition Failed)"}
	path := "/jobs/" + job.Id.String() + "/edit"
	b.open(path)
	b.click("main .buttons .primary")
	b.reads("#notice", "Nothing is changed.")

	b.open(path)
	b.fill("#name", "import of the day")
	b.fill("#labels", "team=billing")
	service.updateJob(t, job.Id, client.JobUpdate{Description: new("somebody else was here"), MaxAttempts: new(client.MaxAttempts(7))})
	b.click("main .buttons .primary")
	b.reads(".form-problem", "has changed the job since you opened this form")
	require.Equal(t, "import", service.getJob(t, job.Id).Name, "nothing is saved")
	require.Equal(t, "import of the day", eval[string](b, `document.querySelector("#name").value`), "what was entered stays")
	b.click("[name=over]")
	b.reads("#notice", "The job is saved as version 3.")
	saved := service.getJob(t, job.Id)
	require.Equal(t, "import of the day", saved.Name)
	require.Equal(t, client.Labels{"team": "billing"}, saved.Labels)
	require.Equal(t, "somebody else was here", saved.Description, "what others have changed stays")
	require.EqualValues(t, 7, saved.MaxAttempts)
	require.Equal(t, job.StartsOn, saved.StartsOn, "what was not touched stays")

	b.open("/jobs/new?copy=" + job.Id.String())
	b.click("main .buttons .primary")
	b.reads("h1", "Copy of import of the day")
	b.reads("[aria-labelledby=upcoming]", "run.failed")
}

// Without scripts, a button shows when a job would be due, and nothing is stored.
func TestPageJobForm_withoutScripts(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	b := openTab(t, service, chromedp.Flag("blink-settings", "scriptEnabled=false"))
	b.do(chromedp.Navigate(b.url + "/jobs/new"))
	b.do(chromedp.SendKeys(chromedp.CSS("#cron"), "0 12 * * *"))
	b.do(chromedp.Click(chromedp.CSS("[name=do]")))
	b.do(chromedp.WaitVisible(chromedp.CSS("#preview li:nth-child(5)")))
	list, err := service.ListJobsWithResponse(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, list.JSON200.Items)
}
