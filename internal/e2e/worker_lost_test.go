package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

func TestAHeartbeatKeepsALease(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	service.due(t, pool, queued)
	lease := service.lease(t, "q", `{"waitSeconds":0,"leaseSeconds":60}`)
	_, err := pool.Exec(t.Context(), `update leases set expires_at = now() + interval '10 seconds'`)
	require.NoError(t, err)
	kept, err := service.HeartbeatWithResponse(t.Context(), lease.Id)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(time.Minute), kept.JSON200.ExpiresAt, 10*time.Second, "as long as it was asked for")
	require.Empty(t, kept.JSON200.Canceled)
	require.NotNil(t, kept.JSON200.Canceled)

	service.complete(t, lease.Runs[0], "")
	over, err := service.HeartbeatWithResponse(t.Context(), lease.Id)
	require.NoError(t, err)
	require.Equal(t, http.StatusConflict, over.StatusCode(), "nothing is left under it")
}

// What a worker that was away too long says changes nothing.
func TestAWorkerThatWasAwayTooLong(t *testing.T) {
	t.Parallel()
	for name, comesBack := range map[string]func(t *testing.T, service instance, run client.LeasedRun){
		"while it waits": func(*testing.T, instance, client.LeasedRun) {},
		"while another executes": func(t *testing.T, service instance, run client.LeasedRun) {
			t.Helper()
			again := service.leaseOne(t, "q")
			require.Equal(t, run.Id, again.Id)
			require.EqualValues(t, 2, again.Attempt)
			require.NotEqual(t, again.Token, run.Token)
			require.Equal(t, run.ScheduledFor, again.ScheduledFor)
		},
		"after another has done it": func(t *testing.T, service instance, _ client.LeasedRun) {
			t.Helper()
			service.complete(t, service.leaseOne(t, "q"), "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service, pool := setup(t)
			service.due(t, pool, queued)
			lease := service.lease(t, "q", `{"waitSeconds":0}`)
			run := lease.Runs[0]
			expire(t, pool)
			comesBack(t, service, run)
			before := service.readRun(t, run.Id)
			for what, more := range map[string]string{"complete": "", "fail": `,"error":"late"`, "release": ""} {
				require.Equal(t, http.StatusConflict, service.says(t, run, what, more), what)
			}
			beat, err := service.HeartbeatWithResponse(t.Context(), lease.Id)
			require.NoError(t, err)
			require.Equal(t, http.StatusConflict, beat.StatusCode())
			require.Equal(t, before, service.readRun(t, run.Id))
		})
	}
}

// A run that kills its workers ends, though no worker asks for it any more.
func TestARunThatKillsItsWorkersEnds(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.due(t, pool, queued+`,"maxAttempts":2`)
	run := service.leaseOne(t, "q")
	expire(t, pool)
	service.leaseOne(t, "q")
	expire(t, pool)
	require.Nil(t, service.lease(t, "q", `{"waitSeconds":0}`))
	service.executes(t, 1)
	ended := service.readRun(t, run.Id)
	require.Equal(t, client.RunStatusFAILED, ended.Status)
	require.Equal(t, client.RunReasonLEASEEXPIRED, *ended.Reason)
	require.Equal(t, "the lease of worker expired before the attempt ended", *ended.Error)
	require.EqualValues(t, 2, ended.Attempt)
	require.Equal(t, job.NextRunAt.Add(time.Minute), *service.getJob(t, job.Id).NextRunAt)
	require.Equal(t, 1, count(t, pool, `select count(*) from due where awaits_worker and queue = 'q'`), "the next is for workers again")
}

// An attempt has its time, however alive its worker is.
func TestAWorkersAttemptHasADeadline(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	service.due(t, pool, queued+`,"attemptDeadlineSeconds":30,"maxAttempts":2,"minBackoffSeconds":0,"maxBackoffSeconds":0`)
	for _, status := range []client.RunStatus{client.RunStatusRUNNING, client.RunStatusFAILED} {
		lease := service.lease(t, "q", `{"waitSeconds":10}`)
		n, err := brokerOf(pool).EndOverdue(t.Context())
		require.NoError(t, err)
		require.Zero(t, n, "it is in time")
		age(t, pool, lease.Runs[0].JobId, 30*time.Second)
		_, err = pool.Exec(t.Context(), `
			with leases as (update leases set created_at = created_at - interval '30 seconds', scheduled_fors = array(select scheduled_for from due))
			update due set started_at = started_at - interval '30 seconds'`)
		require.NoError(t, err)
		beat, err := service.HeartbeatWithResponse(t.Context(), lease.Id)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, beat.StatusCode())

		n, err = brokerOf(pool).EndOverdue(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
		runs := service.listRuns(t, lease.Runs[0].JobId)
		run := runs[len(runs)-1]
		require.Equal(t, status, run.Status)
		lease.Runs[0].Id = run.Id // its time was moved
		require.Equal(t, http.StatusConflict, service.says(t, lease.Runs[0], "complete", ""))
		beat, err = service.HeartbeatWithResponse(t.Context(), lease.Id)
		require.NoError(t, err)
		require.Equal(t, http.StatusConflict, beat.StatusCode(), "nothing is left under it")
		if status == client.RunStatusFAILED {
			require.Equal(t, client.RunReasonDEADLINEEXCEEDED, *run.Reason)
			require.Equal(t, "attempt deadline exceeded after 30s", *run.Error)
			require.Len(t, run.FailedAttempts, 1)
		}
	}
}

// What passed while nobody served the queue is for the misfire policy, which is asked when a worker comes.
func TestAQueueThatNobodyServed(t *testing.T) {
	t.Parallel()
	for policy, c := range map[string]struct{ leased, skipped int }{"FIRE_ONCE": {1, 4}, "SKIP": {0, 5}, "FIRE_ALL": {5, 0}} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			service, pool := setup(t)
			job := service.create(t, `{"name":"unserved","intervalInSeconds":600,"misfirePolicy":"`+policy+`"`+queued+`}`)
			age(t, pool, job.Id, 52*time.Minute)
			for range c.leased {
				lease := service.lease(t, "q", `{"waitSeconds":0}`)
				require.NotNil(t, lease, "something is due, whatever has to be stepped over first")
				service.complete(t, lease.Runs[0], "")
			}
			require.Nil(t, service.lease(t, "q", `{"waitSeconds":0}`))
			require.Equal(t, c.leased, count(t, pool, `select count(*) from runs where status = 'SUCCEEDED'`))
			require.Equal(t, c.skipped, count(t, pool, `select coalesce(sum(occurrences), 0) from runs where reason = 'MISFIRE'`))
			require.Equal(t, 1, count(t, pool, `select count(*) from due where ready_at > now()`), "it goes on")
		})
	}
}

// That is so, too, where the job is given to workers that are there.
func TestAQueueThatNobodyServedIsLeftForAnother(t *testing.T) {
	t.Parallel()
	for policy, c := range map[string]struct{ leased, skipped int }{"FIRE_ONCE": {1, 4}, "SKIP": {0, 5}, "FIRE_ALL": {5, 0}} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			service, pool := setup(t)
			job := service.create(t, `{"name":"unserved","intervalInSeconds":600,"misfirePolicy":"`+policy+`","target":{"type":"worker","queue":"nobody"}}`)
			age(t, pool, job.Id, 52*time.Minute)
			require.NotNil(t, service.patch(t, job.Id, `{"target":{"type":"worker","queue":"q"}}`).JSON200)
			for range c.leased {
				service.complete(t, service.leaseOne(t, "q"), "")
			}
			require.Nil(t, service.lease(t, "q", `{"waitSeconds":0}`))
			require.Equal(t, c.leased, count(t, pool, `select count(*) from runs where status = 'SUCCEEDED'`))
			require.Equal(t, c.skipped, count(t, pool, `select coalesce(sum(occurrences), 0) from runs where reason = 'MISFIRE'`))
			require.Equal(t, 1, count(t, pool, `select count(*) from due where ready_at > now()`), "it goes on")
		})
	}
}

// A run by hand that waits for one that nobody served is not dropped with that.
func TestAMissedRunMakesWayForWhatWaitsForIt(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.create(t, `{"name":"unserved","intervalInSeconds":600`+queued+`}`)
	age(t, pool, job.Id, 32*time.Minute)
	run := service.startRun(t, job.Id, bufferOne)
	leased := service.leaseOne(t, "q")
	require.Equal(t, run.Id, leased.Id)
	service.complete(t, leased, "")
	require.Equal(t, 3, count(t, pool, `select sum(occurrences) from runs where reason = 'MISFIRE'`))
	require.Equal(t, 1, count(t, pool, `select count(*) from due where ready_at > now()`), "it goes on")
}

// Runs that may overlap are leased at once, and one that gives its run back does not lose it, however late it is by then.
func TestWorkersOfRunsThatMayOverlap(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.create(t, `{"name":"overlaps","intervalInSeconds":20,"overlapPolicy":"ALLOW_ALL"`+queued+`}`)
	age(t, pool, job.Id, 45*time.Second)
	first, second := service.leaseOne(t, "q"), service.leaseOne(t, "q")
	require.Equal(t, first.ScheduledFor.Add(20*time.Second), second.ScheduledFor)
	_, err := pool.Exec(t.Context(), `update due set scheduled_for = scheduled_for - interval '5 minutes',
		ready_at = ready_at - interval '5 minutes', started_at = started_at - interval '5 minutes' where token = $1`, first.Token)
	require.NoError(t, err)
	released := service.listRuns(t, job.Id)[1]
	first.Id = released.Id
	service.release(t, first)
	again := service.leaseOne(t, "q")
	require.Equal(t, first.Id, again.Id)
	require.EqualValues(t, 1, again.Attempt, "what was given back does not count")
	service.complete(t, again, "")
	service.complete(t, second, "")
	require.Len(t, service.listRuns(t, job.Id), 2, "nothing is passed over")
	require.EqualValues(t, 2, service.getJob(t, job.Id).RunCount)
}

// The worker of the run before is told to end it.
func TestWorkersOfRunsThatCancelEachOther(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.create(t, `{"name":"cancels","intervalInSeconds":20,"overlapPolicy":"CANCEL_OTHER"`+queued+`}`)
	age(t, pool, job.Id, 45*time.Second)
	lease := service.lease(t, "q", `{"waitSeconds":0}`)
	second := service.leaseOne(t, "q")
	told, err := service.HeartbeatWithResponse(t.Context(), lease.Id)
	require.NoError(t, err)
	require.Equal(t, lease.Runs[0].Id, told.JSON200.Canceled[0])
	service.fail(t, lease.Runs[0], `,"error":"told to"`)
	service.complete(t, second, "")
	runs := service.listRuns(t, job.Id)
	require.Equal(t, client.RunStatusSUCCEEDED, runs[0].Status)
	require.Equal(t, client.RunStatusCANCELED, runs[1].Status)
	require.Equal(t, client.RunReasonOVERLAP, *runs[1].Reason)
}
