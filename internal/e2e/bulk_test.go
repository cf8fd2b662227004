package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/access"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

// bulk changes many jobs by one request.
func (i instance) bulk(t *testing.T, body string) client.JobBulkResult {
	t.Helper()
	got, err := i.ChangeJobsWithBodyWithResponse(t.Context(), nil, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), "changed: %s", got.Body)
	require.EqualValues(t, len(got.JSON200.Items), got.JSON200.Changed+got.JSON200.Unchanged+got.JSON200.Failed, "each is counted once")
	return *got.JSON200
}

// requireCounts checks what became of how many jobs.
func requireCounts(t *testing.T, got client.JobBulkResult, changed, unchanged, failed int32) {
	t.Helper()
	require.Equal(t, []int32{changed, unchanged, failed}, []int32{got.Changed, got.Unchanged, got.Failed}, "changed, unchanged and failed: %+v", got)
}

// makeJobs creates jobs with the keys <team>/0, <team>/1 and so on, and returns their ids.
func (i instance) makeJobs(t *testing.T, n int, team, more string) (ids []uuid.UUID) {
	t.Helper()
	for first := 0; first < n; first += 1000 {
		var definitions []string
		for at := first; at < min(n, first+1000); at++ {
			definitions = append(definitions, fmt.Sprintf(`{"key":"%s/%d","name":"%s","labels":{"team":"%s"},"intervalInSeconds":3600%s}`, team, at, team, team, more))
		}
		got, err := i.ApplyJobsWithBodyWithResponse(t.Context(), nil, "application/json", strings.NewReader(
			`{"definitions":[`+strings.Join(definitions, ",")+`]}`))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, got.StatusCode(), "applied: %.1000s", got.Body)
		for _, item := range got.JSON200.Items {
			ids = append(ids, *item.Id)
		}
	}
	return ids
}

// A pause of a team's jobs is undone by its id: only what it has paused, and what nobody has
// touched since, goes on.
func TestOnlyWhatABulkPausePausedIsResumed(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	ids := service.makeJobs(t, 500, "payments", "")
	service.makeJobs(t, 3, "other", "")
	service.patch(t, ids[0], `{"status":"PAUSED","statusReason":"by hand"}`)

	began := time.Now()
	paused := service.bulk(t, `{"selector":{"labelSelector":"team=payments"},"action":"PAUSE","reason":"the database moves"}`)
	t.Logf("500 jobs were paused in %s", time.Since(began))
	requireCounts(t, paused, 499, 1, 0)
	require.EqualValues(t, 500, paused.Matched)
	require.Nil(t, paused.NextCursor)
	require.NotNil(t, paused.PauseId)
	again := service.bulk(t, `{"selector":{"labelSelector":"team=payments"},"action":"PAUSE","reason":"again"}`)
	requireCounts(t, again, 0, 500, 0)
	require.NotEqual(t, paused.PauseId, again.PauseId)
	job := service.getJob(t, ids[1])
	require.Equal(t, "the database moves", *job.StatusReason)
	require.Equal(t, paused.PauseId, job.PauseId)
	require.EqualValues(t, 2, job.Version)

	service.patch(t, ids[1], `{"status":"ACTIVE"}`) // and paused anew
	service.patch(t, ids[1], `{"status":"PAUSED","statusReason":"anew"}`)
	service.patch(t, ids[2], `{"status":"PAUSED","statusReason":"taken over"}`)
	service.patch(t, ids[3], `{"status":"ACTIVE"}`)
	service.patch(t, ids[4], `{"name":"renamed"}`) // which is no decision about the pause

	resume := `{"selector":{"pauseId":"` + paused.PauseId.String() + `"},"action":"RESUME"}`
	began = time.Now()
	resumed := service.bulk(t, resume)
	t.Logf("%d jobs were resumed in %s", resumed.Changed, time.Since(began))
	requireCounts(t, resumed, 496, 0, 0)
	require.Nil(t, resumed.PauseId)
	requireCounts(t, service.bulk(t, resume), 0, 0, 0)
	require.Equal(t, 3, count(t, pool, `select count(*) from jobs where status = 'PAUSED'`), "three were paused by hand")
	require.Equal(t, 500, count(t, pool, `select count(*) from due where carries_schedule`), "each active job is due")
	require.Zero(t, count(t, pool, `select count(*) from jobs where pause_id is not null`))
	require.Equal(t, 499, count(t, pool, `select count(*) from audit where operation = 'changeJobs' and result ->> 'action' = 'PAUSE'
		and result ->> 'pauseId' = '`+paused.PauseId.String()+`' and result ->> 'statusReason' = 'the database moves'`), "each is in the audit")
}

func TestBulkActionsTwice(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	service.makeJobs(t, 20, "payments", "")
	service.makeJobs(t, 1, "other", "")
	const selector = `{"selector":{"keyPrefix":"payments/"},`
	for _, c := range []struct {
		action        string
		first, second [3]int32
	}{
		{`"action":"PATCH","patch":{"labels":{"env":"prod"},"name":"x"}`, [3]int32{20, 0, 0}, [3]int32{0, 20, 0}},
		{`"action":"PAUSE"`, [3]int32{20, 0, 0}, [3]int32{0, 20, 0}},
		{`"action":"RUN","reason":"tried"`, [3]int32{20, 0, 0}, [3]int32{20, 0, 0}},
		{`"action":"RESUME"`, [3]int32{20, 0, 0}, [3]int32{0, 20, 0}},
		{`"action":"DELETE","reason":"no longer needed"`, [3]int32{20, 0, 0}, [3]int32{0, 0, 0}},
	} {
		dry := service.bulk(t, selector+c.action+`,"dryRun":true}`)
		require.True(t, dry.DryRun)
		requireCounts(t, dry, c.first[0], c.first[1], c.first[2])
		before := count(t, pool, `select count(*) from audit where operation = 'changeJobs'`)
		first := service.bulk(t, selector+c.action+`}`)
		requireCounts(t, first, c.first[0], c.first[1], c.first[2])
		require.Equal(t, before+20, count(t, pool, `select count(*) from audit where operation = 'changeJobs'`), "the dry run changed nothing")
		for at, item := range first.Items {
			require.Equal(t, dry.Items[at].Id, item.Id, "in one order")
			require.Equal(t, strings.Contains(c.action, "RUN"), item.RunId != nil)
			require.Contains(t, *item.Key, "payments/")
		}
		requireCounts(t, service.bulk(t, selector+c.action+`}`), c.second[0], c.second[1], c.second[2])
	}
	require.Equal(t, 1, count(t, pool, `select count(*) from jobs where deleted_at is null and status = 'ACTIVE' and version = 1`), "the other is as it was")
	require.Equal(t, 40, count(t, pool, `select count(*) from audit where result ->> 'statusReason' = 'tried' and result ->> 'runId' is not null`))
}

// A pause of many jobs may end by itself, and a paused job keeps its own pause.
func TestBulkPauseUntil(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	ids := service.makeJobs(t, 2, "x", "")
	service.patch(t, ids[0], `{"status":"PAUSED"}`)
	requireCounts(t, service.bulk(t, `{"selector":{"keyPrefix":"x/"},"action":"PAUSE","pauseUntil":"2100-01-01T00:00:00Z"}`), 1, 1, 0)
	require.Nil(t, service.getJob(t, ids[0]).PauseUntil)
	require.Equal(t, time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), *service.getJob(t, ids[1]).PauseUntil)
}

// A completed job is neither paused nor resumed.
func TestBulkLeavesCompletedJobs(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	id := service.makeJobs(t, 1, "done", "")[0]
	_, err := pool.Exec(t.Context(), `with d as (delete from due) update jobs set status = 'COMPLETED'`)
	require.NoError(t, err)
	for _, action := range []string{"PAUSE", "RESUME"} {
		requireCounts(t, service.bulk(t, `{"selector":{"ids":["`+id.String()+`"]},"action":"`+action+`"}`), 0, 1, 0)
	}
}

// A job that cannot be changed leaves the others done, and says why.
func TestBulkSaysWhatFailed(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	service.makeJobs(t, 499, "mixed", `,"target":{"type":"http","url":"https://example.com/a"}`)
	logs := service.makeJobs(t, 1, "mixed-log", "")
	got := service.bulk(t, `{"selector":{"keyPrefix":"mixed"},"action":"PATCH","patch":{"target":{"url":"https://example.org/b"}}}`)
	requireCounts(t, got, 499, 0, 1)
	for _, item := range got.Items {
		if item.Id != logs[0] {
			require.Nil(t, item.Code)
			continue
		}
		require.Equal(t, client.BulkResultFAILED, item.Result)
		require.Equal(t, "invalid-request", *item.Code)
		require.Contains(t, *item.Detail, "target.url")
	}
	require.EqualValues(t, 1, service.getJob(t, logs[0]).Version)
}

func TestBulkOfManyPages(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	service.makeJobs(t, 2500, "many", "")
	body := `{"selector":{"keyPrefix":"many/"},"action":"PAUSE"`
	pauses := map[uuid.UUID]bool{}
	left := int64(2500)
	for cursor := ""; ; {
		page := service.bulk(t, body+cursor+`}`)
		require.Equal(t, left, page.Matched, "what is left")
		require.LessOrEqual(t, len(page.Items), 1000)
		// A page has fewer where the machine is slow, because a request ends after some seconds.
		left -= int64(len(page.Items))
		pauses[*page.PauseId] = true
		require.False(t, page.MatchedIsCapped)
		if page.NextCursor == nil {
			break
		}
		cursor = `,"cursor":"` + *page.NextCursor + `"`
	}
	require.Zero(t, left)
	require.Len(t, pauses, 1, "the cursor goes on with the pause")
	require.Equal(t, 2500, count(t, pool, `select count(*) from jobs where status = 'PAUSED'`))
	one := service.bulk(t, `{"selector":{"keyPrefix":"many/"},"action":"RESUME","limit":1}`)
	requireCounts(t, one, 1, 0, 0)
	require.EqualValues(t, 2500, one.Matched)
	require.NotNil(t, one.NextCursor)
}

func TestBulkStaysInItsNamespace(t *testing.T) {
	t.Parallel()
	blue, red, pool := twoNamespaces(t)
	mine, theirs := blue.makeJobs(t, 3, "team", ""), red.makeJobs(t, 3, "team", "")
	paused := red.bulk(t, `{"selector":{"keyPrefix":"team/"},"action":"PAUSE"}`)
	requireCounts(t, paused, 3, 0, 0)
	for _, selector := range []string{
		`{"ids":["` + theirs[0].String() + `","` + mine[0].String() + `"]}`, `{"keyPrefix":"team/"}`, `{"pauseId":"` + paused.PauseId.String() + `"}`,
	} {
		for _, item := range blue.bulk(t, `{"selector":`+selector+`,"action":"RESUME"}`).Items {
			require.Contains(t, mine, item.Id)
		}
		blue.bulk(t, `{"selector":`+selector+`,"action":"DELETE"}`)
	}
	require.Equal(t, 3, count(t, pool, `select count(*) from jobs where namespace = 'red' and status = 'PAUSED' and deleted_at is null`))
	require.Zero(t, count(t, pool, `select count(*) from jobs where namespace = 'blue' and deleted_at is null`))
}

// To start runs of many jobs needs the scope that it needs to start one.
func TestBulkRunNeedsItsScope(t *testing.T) {
	t.Parallel()
	service := newGuarded(t, app.Config{})
	_, all := service.key(t, "default")
	service.as(t, all).makeJobs(t, 1, "x", "")
	_, key := service.key(t, "default", allBut(access.RunsWrite)...)
	caller := service.as(t, key)
	refused, err := caller.ChangeJobsWithBodyWithResponse(t.Context(), nil, "application/json", strings.NewReader(`{"selector":{"keyPrefix":"x"},"action":"RUN"}`))
	require.NoError(t, err)
	detail := requireCode(t, http.StatusForbidden, "scope-required", refused.HTTPResponse, refused.ApplicationproblemJSON403)
	require.Contains(t, detail, "runs:write")
	requireCounts(t, caller.bulk(t, `{"selector":{"keyPrefix":"x"},"action":"PAUSE"}`), 1, 0, 0)
}

func TestBulkRequestsThatAreWrong(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	for name, c := range map[string]struct {
		body, field string
		code        string
	}{
		"a patch that is not asked for": {`"action":"PAUSE","patch":{"name":"x"}`, "patch", "conflicting"},
		"no patch":                      {`"action":"PATCH"`, "patch", "required"},
		"a patch of nothing":            {`"action":"PATCH","patch":{}`, "patch", "required"},
		"a field that there is not":     {`"action":"PATCH","patch":{"nam":"x"}`, "patch.nam", "unknown-field"},
		"an end of no pause":            {`"action":"RUN","pauseUntil":"2100-01-01T00:00:00Z"`, "pauseUntil", "conflicting"},
		"a pause of a resume":           {`"action":"RESUME","pauseId":"0199c2f0-5b1e-7c3a-9d7e-3f1b2a4c5d6e"`, "pauseId", "conflicting"},
		"an end in the past":            {`"action":"PAUSE","pauseUntil":"2020-01-01T00:00:00Z"`, "pauseUntil", "in-the-past"},
		"no selector":                   {`"action":"PAUSE","selector":{"labelSelector":"a=="}`, "selector", "not-unique"},
		"a cursor of nobody":            {`"action":"PAUSE","cursor":"abc"`, "cursor", "wrong-format"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := service.ChangeJobsWithBodyWithResponse(t.Context(), nil, "application/json", strings.NewReader(`{"selector":{"keyPrefix":"x"},`+c.body+`}`))
			require.NoError(t, err)
			requireCode(t, http.StatusBadRequest, "invalid-request", got.HTTPResponse, got.ApplicationproblemJSON400)
			require.Equal(t, c.field, (*got.ApplicationproblemJSON400.Errors)[0].Field, "%s", got.Body)
			require.Equal(t, c.code, (*got.ApplicationproblemJSON400.Errors)[0].Code)
		})
	}
}

// Two requests at once change each job once.
func TestBulkAtOnce(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	config := app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: url}}
	one, two := start(t, config), start(t, config)
	one.makeJobs(t, 100, "x", "")
	results := make(chan client.JobBulkResult, 2)
	for _, service := range []instance{one, two} {
		go func() {
			got, err := service.ChangeJobsWithBodyWithResponse(t.Context(), nil, "application/json", strings.NewReader(`{"selector":{"keyPrefix":"x/"},"action":"PAUSE"}`))
			if err != nil || got.JSON200 == nil {
				results <- client.JobBulkResult{}
				return
			}
			results <- *got.JSON200
		}()
	}
	first, second := <-results, <-results
	require.EqualValues(t, 100, first.Changed+second.Changed)
	require.EqualValues(t, 100, first.Unchanged+second.Unchanged)
}
