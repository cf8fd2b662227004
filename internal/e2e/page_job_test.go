package e2e

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/access"
	"punctual/internal/keys"
	"punctual/internal/testdb"
)

// The page of a job says how it is, what is next, how its runs went, and what has changed.
func TestPageJob(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	job := jobsShown(t, service)
	service.updateJob(t, job.Id, client.JobUpdate{
		IntervalInSeconds: new(int64(7200)), Labels: &client.LabelChanges{"team": new("billing")}, Payload: json.RawMessage(`{"a": "<b> & 'c'"}`),
	})
	b := openTab(t, service)
	b.open("/jobs")
	b.click(rowOf(job) + " .name")
	b.reads("h1", job.Name)
	b.reads("[aria-labelledby=now]", "Succeeded")
	b.until(`document.querySelectorAll(".occurrences li").length === 8`, "the next occurrences are listed")
	b.reads("#runs", "Succeeded")
	b.reads("#runs", "Manual")
	b.reads("[aria-labelledby=definition]", "Every 2 hours")
	b.reads("[aria-labelledby=definition]", "the log of the service")
	b.reads("#version-2", "labels.team payments → billing")
	b.reads("#version-2", "intervalInSeconds 3600 → 7200")
	b.reads("#version-1", "The job was created.")

	b.open("/jobs/" + job.Id.String() + "/stats")
	b.reads("#days tbody tr:nth-child(1)", "100.0 %")
	b.open("/jobs/" + job.Id.String())
	b.click(".copied summary")
	b.reads("#yaml", "key: payments/settle")
	b.reads("#yaml", "intervalInSeconds: 7200")
	eval[any](b, `navigator.clipboard.writeText = async (text) => { window.copied = text; }`)
	b.click("[data-copies=curl]")
	b.reads("[data-copies=curl]", "Copied")
	curl := eval[string](b, "copied")
	require.Contains(t, curl, b.url+"/api/v1/jobs")
	require.Contains(t, curl, `<b> & '\''c'\''`, "quotes are for the shell")
}

// What else can be done to a job is asked on a page, and refused at the field that is wrong.
func TestPageJob_actions(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	job := service.createJob(t, "import", 3600, `{"figures": [40, 2]}`)
	b := openTab(t, service)
	b.expected = []string{"400 (Bad Request)", "404 (Not Found)"}
	path := "/jobs/" + job.Id.String()
	b.open(path)
	b.click(".head .menu summary")
	b.click(`.choices a[href$="/run"]`)
	b.reads("h1", "Run import")
	b.fill("#payload", `{"figures": `)
	b.click("main .primary")
	b.reads("#payload-wrong", "is no JSON")
	require.Equal(t, `{"figures": `, eval[string](b, `document.querySelector("#payload").value`), "what was entered stays")
	b.fill("#payload", `{"figures": [1, 2]}`)
	b.click("main .primary")
	b.reads("h1", "Run of import")
	runs := service.listRuns(t, job.Id)
	require.Len(t, runs, 1)
	run, err := service.GetRunWithResponse(t.Context(), runs[0].Id)
	require.NoError(t, err)
	require.JSONEq(t, `{"figures": [1, 2]}`, string(run.JSON200.Payload))

	b.open(path + "/pause")
	b.fill("#statusReason", "the bank is closed")
	eval[any](b, `document.querySelector("#pauseUntil").value = "2000-01-01T00:00"`)
	b.click("main .primary")
	b.reads("#pauseUntil-wrong", "")
	b.sees("#pauseUntil-wrong .error")
	eval[any](b, `document.querySelector("#pauseUntil").value = "2040-01-01T00:00"`)
	b.click("main .primary")
	b.reads("#notice", "The job is paused.")
	b.reads("[aria-labelledby=now]", "the bank is closed")
	paused := service.getJob(t, job.Id)
	require.Equal(t, client.JobStatusPAUSED, paused.Status)
	require.Equal(t, 2040, paused.PauseUntil.Year())

	b.open(path + "/delete")
	b.reads(".form", "It cannot be brought back")
	service.updateJob(t, job.Id, client.JobUpdate{Name: new("other")})
	b.expected = append(b.expected, "412 (Precondition Failed)")
	b.click("main .danger")
	b.sees(".form-problem")
	require.Equal(t, "other", service.getJob(t, job.Id).Name, "a job that was changed meanwhile is not deleted")
	b.open(path + "/delete")
	b.click("main .danger")
	b.reads("#notice", "The job other is deleted.")
	gone, err := service.GetJobWithResponse(t.Context(), job.Id)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, gone.StatusCode())
}

// A backfill says first how many runs it would start.
func TestPageJob_backfill(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	job := service.create(t, `{"name":"import","cron":"30 * * * *"}`)
	b := openTab(t, service)
	b.expected = []string{"400 (Bad Request)"}
	b.open("/jobs/" + job.Id.String() + "/backfill")
	b.click("main .primary")
	b.sees(".field.wrong")
	day := time.Now().UTC().Add(-30 * time.Hour).Truncate(time.Hour)
	for field, at := range map[string]time.Time{"from": day, "to": day.Add(5 * time.Hour)} {
		eval[any](b, `document.cookie = "zone=utc; path=/"; document.querySelector("#`+field+`").value = "`+at.Format("2006-01-02T15:04")+`"`)
	}
	b.click("main .primary")
	b.reads(".count", "5 runs would start")
	require.Empty(t, service.listRuns(t, job.Id), "nothing has started")
	b.click("main .primary")
	b.reads("#notice", "Started 5 runs.")
	require.Len(t, service.listRuns(t, job.Id), 5)
}

// Who may only read sees no button that does something, and who may start runs sees just these.
func TestPageJob_scopes(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	service, db := startWithKeys(t, url), connect(t, url)
	_, writer := makeKey(t, db, "default", keys.Request{Scopes: []access.Scope{access.JobsRead, access.JobsWrite}})
	_, reader := makeKey(t, db, "default", keys.Request{Scopes: []access.Scope{access.JobsRead}})
	_, starter := makeKey(t, db, "default", keys.Request{Scopes: []access.Scope{access.JobsRead, access.RunsWrite}})
	created, err := service.as(t, writer).CreateJobWithResponse(t.Context(), nil, client.JobCreate{Name: "import", OnDemand: new(true)})
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, created.StatusCode(), "created: %s", created.Body)
	path := "/jobs/" + created.JSON201.Id.String()
	for key, want := range map[string]string{reader: "", starter: "Run"} {
		b := openTab(t, service)
		b.expected = []string{"401", "403"}
		b.open("/jobs")
		b.fill("#key", key)
		b.press("\r")
		b.reads("#job-list", "import")
		buttons := `[...document.querySelectorAll("main form.action button, main a.button, #bulk button")].map(e => e.innerText).join()`
		require.Equal(t, want, eval[string](b, buttons))
		b.open(path)
		require.Equal(t, want, eval[string](b, buttons))
		b.open(path + "/edit")
		b.click("main .buttons .primary")
		b.reads("#notice", "Nothing is changed.")
		b.open(path + "/edit")
		b.fill("#name", "mine")
		b.click("main .buttons .primary")
		b.reads(".problem", "scope")
	}
}
