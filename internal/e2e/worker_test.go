package e2e

import (
	"context"
	"net/http"
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

// What a job of a queue is made of.
const queued = `,"target":{"type":"worker","queue":"q"}`

// waitAtQueue has n workers wait, and returns where their leases come.
func (i instance) waitAtQueue(t *testing.T, n int, body string) <-chan *client.Lease {
	t.Helper()
	leases := make(chan *client.Lease, n)
	for range n {
		go func() {
			got, err := i.LeaseRunsWithBodyWithResponse(t.Context(), "q", "application/json", strings.NewReader(body))
			if assert.NoError(t, err) {
				leases <- got.JSON200 // nil: there was none
			}
		}()
	}
	return leases
}

// someoneWaits waits until an instance has looked what is due in a queue: it does where somebody waits.
func someoneWaits(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	require.Eventually(t, func() bool {
		return count(t, pool, `select count(*) from pg_stat_activity
			where datname = current_database() and pid <> pg_backend_pid() and query like '%NextQueued%'`) > 0
	}, 10*time.Second, time.Millisecond)
}

// A worker that waits is woken at the instant, by whichever instance has made the run due, and not by the next look.
func TestWorkersAreWokenInTime(t *testing.T) {
	t.Parallel()
	for name, becomeDue := range map[string]func(t *testing.T, one, other instance){
		"by its instant": func(t *testing.T, one, _ instance) {
			t.Helper()
			one.create(t, `{"name":"soon","runAt":"`+time.Now().Add(700*time.Millisecond).UTC().Format(time.RFC3339Nano)+`"`+queued+`}`)
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
			other.startRun(t, other.create(t, `{"name":"back","intervalInSeconds":3600,"target":{"type":"worker","queue":"other"}}`).Id, "")
			run := other.leaseOne(t, "other")
			other.patch(t, run.JobId, `{"target":{"type":"worker","queue":"q"}}`)
			other.release(t, run)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// They look by themselves when the test has long failed.
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
}

func TestAskingWithoutWaiting(t *testing.T) {
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
		AttemptDeadlineSeconds: 300, Payload: job.Payload,
	}, run)
	require.Nil(t, service.lease(t, "q", `{"waitSeconds":0}`), "it is leased")
	require.Equal(t, 1, count(t, pool, `select count(*) from leases where holder = 'w1'`))
	service.complete(t, run, "")
	require.Zero(t, count(t, pool, `select count(*) from leases`), "nothing is left under it")
	require.Equal(t, client.RunStatusSUCCEEDED, service.readRun(t, run.Id).Status)
	require.Equal(t, job.NextRunAt.Add(time.Minute), *service.getJob(t, job.Id).NextRunAt)
}

// Workers that wait get what becomes due by turn, each as much as it takes.
func TestWorkersTakeTurns(t *testing.T) {
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
}

// What a worker says of a run is kept with it.
func TestWhatAWorkerSaysIsKept(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	service.due(t, pool, queued+`,"maxAttempts":3,"minBackoffSeconds":0,"maxBackoffSeconds":0`)
	run := service.leaseOne(t, "q")
	service.fail(t, run, `,"error":"no luck","output":"half","retryAfterSeconds":3600`)
	require.Equal(t, 1, count(t, pool, `select count(*) from due where ready_at > now() + interval '55 minutes'`), "it waits as long as it was told to")
	require.Equal(t, http.StatusConflict, service.says(t, run, "fail", `,"error":"again"`), "it has said so")
	age(t, pool, run.JobId, time.Hour)
	_, err := pool.Exec(t.Context(), `update due set started_at = started_at - interval '1 hour'`)
	require.NoError(t, err)

	run = service.leaseOne(t, "q")
	require.EqualValues(t, 2, run.Attempt)
	failed := service.readRun(t, run.Id).FailedAttempts
	require.Len(t, failed, 1)
	require.Equal(t, "no luck", failed[0].Error)
	require.Equal(t, "half", failed[0].Result.Output)
	service.complete(t, run, `,"output":"`+strings.Repeat("é", 3000)+`"`)
	ended := service.readRun(t, run.Id)
	require.Equal(t, client.RunStatusSUCCEEDED, ended.Status)
	require.Equal(t, strings.Repeat("é", 2048), ended.Result.Output, "the first 4 KiB")
	require.True(t, ended.Result.OutputIsTruncated)
	require.Nil(t, ended.Result.StatusCode)
	require.Len(t, ended.FailedAttempts, 1)
}

func TestAFailureThatIsFinal(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	service.due(t, pool, queued)
	run := service.leaseOne(t, "q")
	service.fail(t, run, `,"error":"never","retryable":false`)
	ended := service.readRun(t, run.Id)
	require.Equal(t, client.RunStatusFAILED, ended.Status)
	require.Equal(t, "never", *ended.Error)
	require.EqualValues(t, 1, ended.Attempt)
	require.Nil(t, ended.Reason)
}

// A client that goes while it waits gets nothing, and holds nothing.
func TestAWorkerThatGoesWhileItWaits(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.create(t, `{"name":"x","intervalInSeconds":3600`+queued+`}`)
	var gone sync.WaitGroup
	ctx, leave := context.WithCancel(t.Context())
	for range 20 {
		gone.Go(func() {
			_, err := service.LeaseRunsWithBodyWithResponse(ctx, "q", "application/json", strings.NewReader(`{"waitSeconds":20}`))
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
}

func TestShutdownSendsWorkersAway(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	leases := service.waitAtQueue(t, 5, `{"waitSeconds":30}`)
	someoneWaits(t, pool)
	began := time.Now()
	require.NoError(t, service.stop())
	for range 5 {
		require.Nil(t, <-leases, "it is answered that there is nothing")
	}
	require.Less(t, time.Since(began), 10*time.Second, "at once")
}

// A run that waits for a worker goes with its job.
func TestChangingAJobWhoseRunWaitsForAWorker(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	paused, deleted := service.due(t, pool, queued), service.due(t, pool, queued)
	service.patch(t, paused.Id, `{"status":"PAUSED","statusReason":"holidays"}`)
	require.Equal(t, "holidays", *service.getJob(t, paused.Id).StatusReason)
	run := service.listRuns(t, deleted.Id)[0]
	_, err := service.DeleteJobWithResponse(t.Context(), deleted.Id)
	require.NoError(t, err)
	require.Nil(t, service.lease(t, "q", `{"waitSeconds":0}`))
	require.Equal(t, client.RunReasonJOBPAUSED, *service.listRuns(t, paused.Id)[0].Reason)
	require.Equal(t, client.RunReasonJOBDELETED, *service.readRun(t, run.Id).Reason)
	require.Nil(t, service.updateJob(t, paused.Id, client.JobUpdate{Status: new(client.JobUpdateStatusACTIVE)}).StatusReason)
}
