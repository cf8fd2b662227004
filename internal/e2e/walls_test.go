package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// TestWalls uses the same names in two namespaces. Nothing of the one is seen, executed or changed
// in the other.
func TestWalls(t *testing.T) {
	t.Parallel()
	t.Run("lists, totals and cursors of jobs", func(t *testing.T) {
		t.Parallel()
		blue, red, _ := twoNamespaces(t)
		own := map[string][]uuid.UUID{}
		for range 5 {
			own["blue"] = append([]uuid.UUID{blue.createJob(t, "report", 3600, `"of blue"`).Id}, own["blue"]...)
			own["red"] = append([]uuid.UUID{red.createJob(t, "report", 3600, `"of red"`).Id}, own["red"]...)
		}
		red.createJob(t, "report", 3600, `"of red"`)
		red.updateJob(t, own["red"][0], client.JobUpdate{Status: new(client.JobUpdateStatusPAUSED)})

		all := blue.jobsPage(t, client.ListJobsParams{})
		require.Equal(t, own["blue"], idsOfJobs(all.Items))
		require.EqualValues(t, 5, all.Total)
		require.EqualValues(t, 6, red.jobsPage(t, client.ListJobsParams{}).Total)
		paused := []client.JobStatus{client.JobStatusPAUSED}
		require.Zero(t, blue.jobsPage(t, client.ListJobsParams{Status: &paused}).Total)
		require.Equal(t, own["blue"][2:4], idsOfJobs(blue.jobsPage(t, client.ListJobsParams{Page: new(int64(2)), Limit: new(client.Limit(2))}).Items))

		// A cursor is a place in a list. In the list of another namespace it leads to that one's jobs.
		limit := client.Limit(2)
		for cursor := (*client.Cursor)(nil); ; {
			page := red.jobsPage(t, client.ListJobsParams{Cursor: cursor, Limit: &limit})
			if page.NextCursor == nil {
				break
			}
			cursor = page.NextCursor
			for _, id := range idsOfJobs(blue.jobsPage(t, client.ListJobsParams{Cursor: cursor}).Items) {
				require.Contains(t, own["blue"], id)
			}
		}
	})
	t.Run("runs and their cursors", func(t *testing.T) {
		t.Parallel()
		blue, red, _ := twoNamespaces(t)
		to := time.Now().UTC().Truncate(time.Minute).Add(-time.Minute)
		cron := `{"name":"report","cron":"* * * * *"}`
		ofBlue, ofRed := blue.create(t, cron).Id, red.create(t, cron).Id
		blue.backfills(t, ofBlue, to.Add(-4*time.Minute), to, 5, 5)
		red.backfills(t, ofRed, to.Add(-4*time.Minute), to, 5, 5)
		require.NotContains(t, idsOfRuns(red.listRuns(t, ofRed)), blue.listRuns(t, ofBlue)[0].Id)

		limit := client.Limit(2)
		first, err := blue.ListJobRunsWithResponse(t.Context(), ofBlue, &client.ListJobRunsParams{Limit: &limit})
		require.NoError(t, err)
		require.NotNil(t, first.JSON200.NextCursor)
		after := &client.ListJobRunsParams{Cursor: first.JSON200.NextCursor}
		across, err := red.ListJobRunsWithResponse(t.Context(), ofRed, after)
		require.NoError(t, err)
		require.Equal(t, idsOfRuns(red.listRuns(t, ofRed))[2:], idsOfRuns(across.JSON200.Items))
		refused, err := red.ListJobRunsWithResponse(t.Context(), ofBlue, after)
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, refused.StatusCode())
	})
	t.Run("workers at queues of the same name", func(t *testing.T) {
		t.Parallel()
		blue, red, pool := twoNamespaces(t)
		const body = `{"name":"report","intervalInSeconds":3600` + queued + `}`
		ofBlue, ofRed := blue.create(t, body).Id, red.create(t, body).Id
		blue.startRun(t, ofBlue, "")
		require.Nil(t, red.lease(t, "q", `{"waitSeconds":0}`), "what is due is of blue")
		require.Equal(t, ofBlue, blue.leaseOne(t, "q").JobId)

		// Both wait, and each is woken for its own.
		waitsRed := red.waitAtQueue(t, 1, `{"waitSeconds":30}`)
		waitsBlue := blue.waitAtQueue(t, 1, `{"waitSeconds":30}`)
		someoneWaits(t, pool)
		next := blue.create(t, body).Id
		blue.startRun(t, next, "")
		require.Equal(t, next, (<-waitsBlue).Runs[0].JobId)
		red.startRun(t, ofRed, "")
		require.Equal(t, ofRed, (<-waitsRed).Runs[0].JobId)
		require.Equal(t, 2, count(t, pool, `select count(*) from due where lease_id is not null and queue = 'blue/q'`))
		require.Equal(t, 1, count(t, pool, `select count(*) from due where lease_id is not null and queue = 'red/q'`))
	})
	t.Run("leases and tokens", func(t *testing.T) {
		t.Parallel()
		blue, red, pool := twoNamespaces(t)
		lease := blue.leaseOf(t, "q", 1)
		run := lease.Runs[0]
		red.leaseOf(t, "q", 1) // a lease of the same queue is no right to the other's runs
		before := count(t, pool, `select extract(epoch from expires_at)::bigint from leases where id = '`+lease.Id.String()+`'`)

		completed, err := red.CompleteRunWithResponse(t.Context(), run.Id, client.RunCompletion{Token: run.Token})
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, completed.StatusCode(), "%s", completed.Body)
		failed, err := red.FailRunWithResponse(t.Context(), run.Id, client.RunFailure{Token: run.Token, Error: "no"})
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, failed.StatusCode(), "%s", failed.Body)
		released, err := red.ReleaseRunWithResponse(t.Context(), run.Id, client.RunRelease{Token: run.Token})
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, released.StatusCode(), "%s", released.Body)
		beat, err := red.HeartbeatWithResponse(t.Context(), lease.Id)
		require.NoError(t, err)
		require.Equal(t, http.StatusConflict, beat.StatusCode(), "as for a lease that there is not: %s", beat.Body)
		require.Equal(t, before, count(t, pool, `select extract(epoch from expires_at)::bigint from leases where id = '`+lease.Id.String()+`'`),
			"nobody else extends a lease")

		require.Equal(t, client.RunStatusRUNNING, blue.readRun(t, run.Id).Status)
		completed, err = blue.CompleteRunWithResponse(t.Context(), run.Id, client.RunCompletion{Token: run.Token})
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, completed.StatusCode(), "%s", completed.Body)
	})
	t.Run("concurrency groups of the same name have bounds of their own", func(t *testing.T) {
		t.Parallel()
		blue, red, _ := twoNamespaces(t)
		const body = `{"name":"report","intervalInSeconds":3600,"concurrencyGroup":"g","maxConcurrency":1}`
		started := map[uuid.UUID]instance{}
		for _, caller := range []instance{blue, blue, red} {
			job := caller.create(t, body)
			caller.startRun(t, job.Id, "")
			started[job.Id] = caller
		}
		// A pass claims once, and a group has one place.
		require.Equal(t, 2, blue.pass(t), "one run of each namespace")
		require.Equal(t, 1, blue.pass(t), "the other run of blue")
		for job, caller := range started {
			require.Equal(t, client.RunStatusSUCCEEDED, caller.listRuns(t, job)[0].Status)
		}
	})
	t.Run("a run of the other cannot be canceled or retried, and its job not be changed", func(t *testing.T) {
		t.Parallel()
		blue, red, pool := twoNamespaces(t)
		job := blue.due(t, pool, ``)
		run := blue.listRuns(t, job.Id)[0]
		require.Equal(t, http.StatusNotFound, red.cancel(t, run.Id).StatusCode())
		require.Equal(t, http.StatusNotFound, red.patch(t, job.Id, `{"status":"PAUSED"}`).StatusCode())
		deleted, err := red.DeleteJobWithResponse(t.Context(), job.Id, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, deleted.StatusCode())
		manual, err := red.RunJobWithResponse(t.Context(), job.Id, nil, client.RunStart{})
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, manual.StatusCode())
		require.Equal(t, http.StatusNotFound, red.backfill(t, job.Id, time.Now().Add(-time.Hour), time.Now()).StatusCode())
		require.Equal(t, job, blue.getJob(t, job.Id), "it is as it was")
		require.Len(t, blue.listRuns(t, job.Id), 1)

		require.Equal(t, http.StatusAccepted, blue.cancel(t, run.Id).StatusCode())
		blue.executes(t, 1)
		retried, err := red.RetryRunWithResponse(t.Context(), run.Id, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, retried.StatusCode())
		require.Len(t, blue.listRuns(t, job.Id), 1)
	})
}
