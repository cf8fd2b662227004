package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// A heartbeat extends a lease that still has runs.
func TestHeartbeat(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	service.due(t, pool, queued)
	lease := service.lease(t, "q", `{"waitSeconds":0,"leaseSeconds":60}`)
	_, err := pool.Exec(t.Context(), `update leases set expires_at = now() + interval '10 seconds'`)
	require.NoError(t, err)
	kept, err := service.HeartbeatWithResponse(t.Context(), lease.Id)
	require.NoError(t, err)
	require.WithinDuration(
		t,
		time.Now().Add(time.Minute),
		kept.JSON200.ExpiresAt,
		10*time.Second,
		"as long as it was asked for",
	)
	require.Empty(t, kept.JSON200.Canceled)
	require.NotNil(t, kept.JSON200.Canceled)

	service.complete(t, lease.Runs[0], "")
	for what, more := range map[string]string{"complete": "", "fail": `,"error":"late"`, "release": ""} {
		require.Equal(t, http.StatusConflict, service.says(t, lease.Runs[0], what, more), "%s, though it has ended", what)
	}
	over, err := service.HeartbeatWithResponse(t.Context(), lease.Id)
	require.NoError(t, err)
	require.Equal(t, http.StatusConflict, over.StatusCode(), "nothing is left under it")
}

// When a worker comes, the misfire policy decides about the occurrences that passed before.
func TestUnservedQueue(t *testing.T) {
	t.Parallel()
	unserved := map[string]struct{ leased, skipped int }{"FIRE_ONCE": {1, 4}, "SKIP": {0, 5}, "FIRE_ALL": {5, 0}}
	t.Run("is served again", func(t *testing.T) {
		t.Parallel()
		for policy, c := range unserved {
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
				require.Equal(
					t,
					c.skipped,
					count(t, pool, `select coalesce(sum(occurrences), 0) from runs where reason = 'MISFIRE'`),
				)
				require.Equal(t, 1, count(t, pool, `select count(*) from due where ready_at > now()`), "it goes on")
			})
		}
	})
	t.Run("is left for another", func(t *testing.T) {
		t.Parallel()
		for policy, c := range unserved {
			t.Run(policy, func(t *testing.T) {
				t.Parallel()
				service, pool := setup(t)
				job := service.create(
					t,
					`{"name":"unserved","intervalInSeconds":600,"misfirePolicy":"`+policy+
						`","target":{"type":"worker","queue":"nobody"}}`,
				)
				age(t, pool, job.Id, 52*time.Minute)
				require.NotNil(t, service.patch(t, job.Id, `{"target":{"type":"worker","queue":"q"}}`).JSON200)
				for range c.leased {
					service.complete(t, service.leaseOne(t, "q"), "")
				}
				require.Nil(t, service.lease(t, "q", `{"waitSeconds":0}`))
				require.Equal(t, c.leased, count(t, pool, `select count(*) from runs where status = 'SUCCEEDED'`))
				require.Equal(
					t,
					c.skipped,
					count(t, pool, `select coalesce(sum(occurrences), 0) from runs where reason = 'MISFIRE'`),
				)
				require.Equal(t, 1, count(t, pool, `select count(*) from due where ready_at > now()`), "it goes on")
			})
		}
	})
	// The run by hand is not dropped with the missed one.
	t.Run("has a run that waits for a missed one", func(t *testing.T) {
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
	})
}

func TestWorkerOverlap(t *testing.T) {
	t.Parallel()
	// Runs are leased at once. A worker that gives its run back does not lose it, however late it
	// is.
	t.Run("is allowed", func(t *testing.T) {
		t.Parallel()
		service, pool := setup(t)
		job := service.create(t, `{"name":"overlaps","intervalInSeconds":20,"overlapPolicy":"ALLOW_ALL"`+queued+`}`)
		age(t, pool, job.Id, 45*time.Second)
		first, second := service.leaseOne(t, "q"), service.leaseOne(t, "q")
		require.Equal(t, first.ScheduledFor.Add(20*time.Second), second.ScheduledFor)
		_, err := pool.Exec(t.Context(), `update due set scheduled_for = later(scheduled_for, -interval '5 minutes'),
			ready_at = later(ready_at, -interval '5 minutes'), started_at = later(started_at, -interval '5 minutes')
			where token = $1`, first.Token)
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
	})
	// Its worker is told to end it.
	t.Run("cancels the run before", func(t *testing.T) {
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
	})
}
