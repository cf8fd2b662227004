package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// attention asks what needs attention.
func (i instance) attention(t *testing.T, limit *int32) client.Attention {
	t.Helper()
	got, err := i.GetAttentionWithResponse(t.Context(), &client.GetAttentionParams{Limit: limit})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), "asked: %s", got.Body)
	return *got.JSON200
}

// failOnce makes a run of a worker's job fail.
func (i instance) failOnce(t *testing.T, job client.Job, queue, why string) client.Run {
	t.Helper()
	run := i.startRun(t, job.Id, "")
	leased, err := i.LeaseRunsWithResponse(t.Context(), queue, client.LeaseRequest{WaitSeconds: new(int32(0))})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, leased.StatusCode(), "leased: %s", leased.Body)
	require.Len(t, leased.JSON200.Runs, 1)
	failed, err := i.FailRunWithResponse(t.Context(), leased.JSON200.Runs[0].Id, client.RunFailure{
		Token: leased.JSON200.Runs[0].Token, Error: why, Retryable: new(false),
	})
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, failed.StatusCode(), "failed: %s", failed.Body)
	return run
}

// What is wrong is said with its reason: failing, overdue, late and paused jobs, queues that nobody
// serves and connections that are down. What is right, or somebody has decided, is not in it.
func TestAttention(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	quiet := service.attention(t, nil)
	require.Empty(t, quiet.Queues)
	require.Empty(t, quiet.Connections)
	require.Len(t, quiet.Jobs, 4, "each problem is there")
	for _, of := range quiet.Jobs {
		require.Zero(t, of.Count)
		require.Empty(t, of.Items)
	}

	worker := func(name, more string) client.Job {
		return service.create(t, `{"name":"`+name+`","labels":{"team":"a"},"onDemand":true,"target":{"type":"worker","queue":"`+name+`"}`+more+`}`)
	}
	failing := worker("failing", "")
	first := service.failOnce(t, failing, "failing", "smoke")
	failed := service.failOnce(t, failing, "failing", "the printer is on fire\nat line 7")
	paused := worker("paused", `,"pauseAfterFailures":1`)
	service.failOnce(t, paused, "paused", "no ink")
	decided := worker("decided", `,"pauseAfterFailures":1`)
	service.failOnce(t, decided, "decided", "no paper")
	require.Equal(t, http.StatusOK, service.patch(t, decided.Id, `{"status":"PAUSED","statusReason":"until there is paper"}`).StatusCode())
	resumed := worker("resumed", `,"pauseAfterFailures":1`)
	service.failOnce(t, resumed, "resumed", "no light")
	require.Equal(t, http.StatusOK, service.patch(t, resumed.Id, `{"status":"ACTIVE"}`).StatusCode())
	service.failOnce(t, worker("jammed", ""), "jammed", "no way out")
	overdue := service.create(t, `{"key":"overdue","name":"overdue","onDemand":true,"expectSuccessWithinSeconds":3600}`)
	_, err := pool.Exec(t.Context(), `update expected_successes set overdue_since = now() - interval '5 minutes' where job_id = $1`, overdue.Id)
	require.NoError(t, err)
	late := service.createJob(t, "late", 3600, `null`)
	age(t, pool, late.Id, time.Hour+2*time.Minute)
	waiting := service.create(t, `{"name":"waiting","cron":"0 0 1 1 *","target":{"type":"worker","queue":"nobody"}}`)
	_, err = pool.Exec(t.Context(), `update due set scheduled_for = now() - interval '3 minutes', ready_at = now() - interval '3 minutes'
		where job_id = $1`, waiting.Id)
	require.NoError(t, err)
	service.connection(t, `{"key":"down","baseUrl":"https://down.example.com"}`)
	service.connection(t, `{"key":"up","baseUrl":"https://up.example.com"}`)
	_, err = pool.Exec(t.Context(), `update connection_states set down_since = now(), reason = 'status 503'
		where connection_id = (select id from connections where key = 'down')`)
	require.NoError(t, err)

	got := service.attention(t, nil)
	of := map[client.JobProblem][]client.TroubledJob{}
	for _, problem := range got.Jobs {
		of[problem.Problem] = problem.Items
		require.Equal(t, int32(len(problem.Items)), problem.Count)
		require.False(t, problem.CountIsCapped)
	}
	namesOf := func(problem client.JobProblem) (names []string) {
		for _, job := range of[problem] {
			names = append(names, job.Name+": "+job.Reason)
		}
		return names
	}
	require.Equal(t, []string{"jammed: no way out", "failing: the printer is on fire"}, namesOf("FAILING"), "the latest first, by the first line of the error")
	require.Equal(t, []string{"overdue: no success within 1h"}, namesOf("OVERDUE"))
	require.Equal(t, []string{"late: no instance has claimed the run", "waiting: no worker asks for the queue nobody"}, namesOf("LATE"))
	require.Equal(t, []string{"paused: 1 run failed: no ink"}, namesOf("PAUSED_BY_SERVICE"))

	one := of["FAILING"][1]
	now := service.getJob(t, failing.Id)
	require.Equal(t, failing.Id, one.Id)
	require.Equal(t, client.Labels{"team": "a"}, one.Labels)
	require.Equal(t, int32(2), one.ConsecutiveFailures)
	require.Equal(t, first.ScheduledFor, one.Since)
	require.Equal(t, now.LastRun, one.LastRun)
	require.Equal(t, failed.Id, one.LastRun.Id)
	require.Equal(t, "overdue", *of["OVERDUE"][0].Key)
	require.Nil(t, of["OVERDUE"][0].LastRun)

	require.Len(t, got.Queues, 1)
	require.Equal(t, "nobody", got.Queues[0].Name)
	require.Equal(t, int32(1), got.Queues[0].Waiting)
	require.WithinDuration(t, time.Now().Add(-3*time.Minute), got.Queues[0].Since, time.Minute)
	require.Len(t, got.Connections, 1)
	require.Equal(t, "down", got.Connections[0].Key)
	require.Equal(t, "https://down.example.com", got.Connections[0].BaseUrl)
	require.Equal(t, "status 503", *got.Connections[0].Reason)

	few := service.attention(t, new(int32(1)))
	for _, problem := range few.Jobs {
		if problem.Problem == "FAILING" {
			require.Equal(t, int32(2), problem.Count)
			require.Len(t, problem.Items, 1)
		}
	}

	makeNamespace(t, pool, "red")
	elsewhere := service.in(t, "red").attention(t, nil)
	require.Equal(t, quiet, elsewhere, "nothing of it is in another namespace")
}

// With more jobs than are looked at one by one, indexes name those that have a problem.
func TestAttentionAmongManyJobs(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	service.makeJobs(t, 600, "many", "")
	_, err := pool.Exec(t.Context(), `
		update due set last_run_for = now() - interval '1 hour', last_run_at = now() - interval '1 hour', last_run_status = 'FAILED', failures = 3
		where job_id in (select id from jobs order by id limit 7)`)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `
		update due set scheduled_for = now() - interval '1 hour', ready_at = now() - interval '1 hour'
		where job_id in (select id from jobs order by id desc limit 3)`)
	require.NoError(t, err)
	counts := map[client.JobProblem]int32{}
	ids := map[uuid.UUID]bool{}
	for _, problem := range service.attention(t, nil).Jobs {
		counts[problem.Problem] = problem.Count
		for _, job := range problem.Items {
			ids[job.Id] = true
		}
		if problem.Problem == "FAILING" {
			require.Equal(t, "3 runs failed in a row", problem.Items[0].Reason, "the last run is not kept")
		}
	}
	require.Equal(t, map[client.JobProblem]int32{"FAILING": 7, "LATE": 3, "OVERDUE": 0, "PAUSED_BY_SERVICE": 0}, counts)
	require.Len(t, ids, 10)
}
