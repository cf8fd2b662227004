package e2e

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

// queued is the part of a job that gives it to the workers of a queue.
const queued = `,"target":{"type":"worker","queue":"q"}`

// waitAtQueue lets n workers wait, and returns the channel that receives their leases.
func (i instance) waitAtQueue(t *testing.T, n int, body string) <-chan *client.Lease {
	t.Helper()
	leases := make(chan *client.Lease, n)
	for range n {
		go func() {
			got, err := i.LeaseRunsWithBodyWithResponse(t.Context(), "q", "application/json", strings.NewReader(body))
			if !assert.NoError(t, err) {
				leases <- nil // or the test would wait for ever
				return
			}
			leases <- got.JSON200 // nil: there was none
		}()
	}
	return leases
}

// someoneWaits waits until an instance has looked at a queue, which it does only if somebody waits.
func someoneWaits(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	require.Eventually(t, func() bool {
		return count(t, pool, `select count(*) from pg_stat_activity
			where datname = current_database() and pid <> pg_backend_pid() and query like '%NextQueued%'`) > 0
	}, 10*time.Second, time.Millisecond)
}

func TestLeaseRuns(t *testing.T) {
	t.Parallel()
	// Whichever instance has made the run due. The worker does not wait for the next look.
	t.Run("wakes a worker in time", func(t *testing.T) {
		t.Parallel()
		for name, becomeDue := range map[string]func(t *testing.T, one, other instance){
			"by its instant": func(t *testing.T, one, _ instance) {
				t.Helper()
				at := time.Now().Add(700 * time.Millisecond).UTC().Format(time.RFC3339Nano)
				one.create(t, `{"name":"soon","runAt":"`+at+`"`+queued+`}`)
			},
			"by hand": func(t *testing.T, _, other instance) {
				t.Helper()
				other.startRun(t, other.create(t, `{"name":"later","intervalInSeconds":3600`+queued+`}`).Id, "")
			},
			"by the end of the run before": func(t *testing.T, one, other instance) {
				t.Helper()
				job := other.create(t, `{"name":"buffers","intervalInSeconds":3600,"target":{"type":"worker","queue":"other"}}`)
				other.startRun(t, job.Id, "")
				run := other.leaseOne(t, "other")
				one.startRun(t, job.Id, bufferOne)
				other.patch(t, job.Id, `{"target":{"type":"worker","queue":"q"}}`)
				other.complete(t, run, "")
			},
			"by one that gives it back": func(t *testing.T, _, other instance) {
				t.Helper()
				job := other.create(t, `{"name":"back","intervalInSeconds":3600,"target":{"type":"worker","queue":"other"}}`)
				other.startRun(t, job.Id, "")
				run := other.leaseOne(t, "other")
				other.patch(t, run.JobId, `{"target":{"type":"worker","queue":"q"}}`)
				other.release(t, run)
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				// So long that a look without being told comes after the test.
				c := app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: testdb.New(t)}, PollInterval: time.Minute}
				one, other := start(t, c), start(t, c)
				leases := one.waitAtQueue(t, 1, `{"waitSeconds":20}`)
				someoneWaits(t, connect(t, c.Database.URL))
				becomeDue(t, one, other)
				lease := <-leases
				require.NotNil(t, lease, "it was woken")
				run := one.readRun(t, lease.Runs[0].Id)
				require.Equal(t, client.RunStatusRUNNING, run.Status)
				require.Less(t, run.StartedAt.Sub(run.ScheduledFor), 5*time.Second)
				require.False(t, run.StartedAt.Before(run.ScheduledFor), "never early")
			})
		}
	})
	t.Run("without waiting", func(t *testing.T) {
		t.Parallel()
		service, pool := setup(t)
		require.Nil(t, service.lease(t, "q", `{"waitSeconds":0}`), "nobody has used the queue")
		job := service.due(t, pool, queued+`,"payload":{"n":1}`)
		require.Nil(t, service.lease(t, "another", `{"waitSeconds":0}`))
		lease := service.lease(t, "q", `{"waitSeconds":0,"worker":"w1"}`)
		require.Len(t, lease.Runs, 1)
		run := lease.Runs[0]
		require.Equal(t, client.LeasedRun{
			Id: run.Id, Token: run.Token, JobId: job.Id, JobName: job.Name, ScheduledFor: *job.NextRunAt, Attempt: 1,
			AttemptDeadlineSeconds: 300, Payload: job.Payload, Traceparent: run.Traceparent,
		}, run)
		require.NotEmpty(t, run.Traceparent)
		require.Nil(t, service.lease(t, "q", `{"waitSeconds":0}`), "it is leased")
		require.Equal(t, 1, count(t, pool, `select count(*) from leases where holder = 'w1'`))
		service.complete(t, run, "")
		require.Zero(t, count(t, pool, `select count(*) from leases`), "nothing is left under it")
		require.Equal(t, client.RunStatusSUCCEEDED, service.readRun(t, run.Id).Status)
		require.Equal(t, job.NextRunAt.Add(time.Minute), *service.getJob(t, job.Id).NextRunAt)
	})
	// Each gets as many runs as it takes.
	t.Run("serves workers in turn", func(t *testing.T) {
		t.Parallel()
		service, pool := setup(t)
		leases := service.waitAtQueue(t, 3, `{"waitSeconds":20,"maxRuns":2}`)
		someoneWaits(t, pool)
		at := time.Now().Add(time.Second).UTC().Format(time.RFC3339Nano)
		for range 5 {
			service.create(t, `{"name":"at-once","runAt":"`+at+`"`+queued+`}`)
		}
		got, ids := []int{}, map[uuid.UUID]bool{}
		for range 3 {
			lease := <-leases
			require.NotNil(t, lease, "each gets one")
			got = append(got, len(lease.Runs))
			for _, run := range lease.Runs {
				require.False(t, ids[run.Id], "nobody else has it")
				ids[run.Id] = true
			}
		}
		require.ElementsMatch(t, []int{2, 2, 1}, got)
		require.Equal(t, 3, count(t, pool, `select count(*) from leases`))
	})
	t.Run("gives nothing to a worker that leaves while it waits", func(t *testing.T) {
		t.Parallel()
		service, pool := setup(t)
		job := service.create(t, `{"name":"x","intervalInSeconds":3600`+queued+`}`)
		var gone sync.WaitGroup
		ctx, leave := context.WithCancel(t.Context())
		for range 20 {
			gone.Go(func() {
				_, err := service.LeaseRunsWithBodyWithResponse(
					ctx,
					"q",
					"application/json",
					strings.NewReader(`{"waitSeconds":20}`),
				)
				assert.ErrorIs(t, err, context.Canceled)
			})
		}
		someoneWaits(t, pool)
		leave()
		gone.Wait()
		run := service.startRun(t, job.Id, "")
		leased := service.leaseOne(t, "q")
		require.Equal(t, run.Id, leased.Id)
		require.EqualValues(t, 1, leased.Attempt, "whoever has gone has had no attempt")
		require.Equal(t, 1, count(t, pool, `select count(*) from leases where duration is not null`))
	})
	t.Run("gives no run of a job that is paused or deleted", func(t *testing.T) {
		t.Parallel()
		service, pool := setup(t)
		paused, deleted := service.due(t, pool, queued), service.due(t, pool, queued)
		service.patch(t, paused.Id, `{"status":"PAUSED","statusReason":"holidays"}`)
		require.Equal(t, "holidays", *service.getJob(t, paused.Id).StatusReason)
		run := service.listRuns(t, deleted.Id)[0]
		_, err := service.DeleteJobWithResponse(t.Context(), deleted.Id, nil)
		require.NoError(t, err)
		require.Nil(t, service.lease(t, "q", `{"waitSeconds":0}`))
		require.Equal(t, client.RunReasonJOBPAUSED, *service.listRuns(t, paused.Id)[0].Reason)
		require.Equal(t, client.RunReasonJOBDELETED, *service.readRun(t, run.Id).Reason)
		require.Nil(
			t,
			service.updateJob(t, paused.Id, client.JobUpdate{Status: new(client.JobUpdateStatusACTIVE)}).StatusReason,
		)
	})
}
