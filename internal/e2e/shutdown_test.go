package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

// stopping begins to stop an instance, waits until it is not ready, and returns the channel that
// receives the error of Run.
func (i instance) stopping(t *testing.T) <-chan error {
	t.Helper()
	stopped := make(chan error, 1)
	go func() { stopped <- i.stop() }()
	require.EventuallyWithT(t, func(c *assertCollect) {
		ready, err := i.GetReadinessWithResponse(t.Context())
		require.NoError(c, err, "it still serves")
		require.Equal(c, http.StatusServiceUnavailable, ready.StatusCode())
	}, 5*time.Second, 10*time.Millisecond)
	return stopped
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	// It does not send workers away who would ask again at once.
	t.Run("serves workers as long as it serves", func(t *testing.T) {
		t.Parallel()
		c := app.Config{
			Role: app.RoleAPI, Database: app.DatabaseConfig{URL: testdb.New(t)}, ShutdownDelay: 4 * time.Second,
			PollInterval: time.Minute,
		}
		stays := start(t, c)
		job := stays.create(t, `{"name":"x","intervalInSeconds":3600`+queued+`}`)
		service := start(t, c)
		leases := service.waitAtQueue(t, 1, `{"waitSeconds":20}`)
		stopped := service.stopping(t)
		began := time.Now()
		require.Nil(t, service.lease(t, "q", `{"waitSeconds":1}`))
		require.GreaterOrEqual(t, time.Since(began), time.Second, "it waited as long as it was asked to")
		stays.startRun(t, job.Id, "")
		require.NotNil(t, <-leases, "what becomes due meanwhile is leased")
		leases = service.waitAtQueue(t, 1, `{"waitSeconds":20}`)
		require.Nil(t, <-leases, "who waits when it no longer serves is told that there was nothing")
		require.NoError(t, <-stopped)
	})
	t.Run("sends waiting workers away", func(t *testing.T) {
		t.Parallel()
		service, pool := setup(t)
		// One: of several, some may not have come to wait when the instance stops.
		leases := service.waitAtQueue(t, 1, `{"waitSeconds":30}`)
		someoneWaits(t, pool)
		began := time.Now()
		require.NoError(t, service.stop())
		require.Nil(t, <-leases, "it is answered that there is nothing")
		require.Less(t, time.Since(began), 10*time.Second, "at once")
	})
	// Also if executed runs have used up the grace.
	t.Run("answers waiting workers after the grace", func(t *testing.T) {
		t.Parallel()
		target, c, began, gone := hangs(t)
		c.ShutdownGrace = time.Second
		service := start(t, c)
		job := service.create(t, `{"name":"hangs","intervalInSeconds":3600,"target":`+target+`}`)
		service.startRun(t, job.Id, "")
		<-began
		leases := service.waitAtQueue(t, 1, `{"waitSeconds":20}`)
		someoneWaits(t, connect(t, c.Database.URL))
		require.NoError(t, service.stop())
		<-gone
		require.Nil(t, <-leases)
	})
	// The instance that waits for its run is told, or finds out.
	t.Run("cancels a run of the stopping instance", func(t *testing.T) {
		t.Parallel()
		for _, isTold := range []bool{true, false} {
			t.Run(fmt.Sprintf("told: %t", isTold), func(t *testing.T) {
				t.Parallel()
				target, c, began, gone := hangs(t)
				service := start(t, c)
				job := service.create(t, `{"name":"hangs","intervalInSeconds":3600,"target":`+target+`}`)
				c.Role = app.RoleAPI
				other := start(t, c)
				run := other.startRun(t, job.Id, "")
				<-began
				stopped := service.stopping(t)
				if isTold {
					require.Equal(t, http.StatusAccepted, other.cancel(t, run.Id).StatusCode())
				} else {
					_, err := connect(t, c.Database.URL).Exec(t.Context(),
						`update due set cancel_reason = 'REQUESTED' where job_id = $1`, job.Id)
					require.NoError(t, err)
				}
				<-gone
				require.NoError(t, <-stopped)
				require.Equal(t, client.RunStatusCANCELED, other.readRun(t, run.Id).Status, "it was not only cut off")
			})
		}
	})
	t.Run("makes no run late", func(t *testing.T) {
		t.Parallel()
		c := app.Config{Role: app.RoleAll, Database: app.DatabaseConfig{URL: testdb.New(t)}, PollInterval: time.Minute}
		goes := start(t, c)
		job := goes.createJob(t, "every-second", 1, `null`)
		waitForRuns(t, goes, job.Id, 1)
		stays := start(t, c)
		waitForRuns(t, goes, job.Id, 3)
		require.NoError(t, goes.stop())
		stopped := len(waitForRuns(t, stays, job.Id, 3))
		for _, run := range waitForRuns(t, stays, job.Id, stopped+2) {
			assert.Less(t, run.StartedAt.Sub(run.ScheduledFor), 5*time.Second, "%s is in time", run.ScheduledFor)
		}
	})
	t.Run("gives runs back at once", func(t *testing.T) {
		t.Parallel()
		target, c, began, gone := hangs(t)
		c.ShutdownGrace, c.PollInterval = time.Second, time.Minute
		goes := start(t, c)
		goes.startRun(t, goes.create(t, `{"name":"hangs","intervalInSeconds":3600,"target":`+target+`}`).Id, "")
		<-began
		start(t, c)
		require.NoError(t, goes.stop())
		<-gone
		select {
		case <-began:
		case <-time.After(5 * time.Second): // the lease would run out later
			assert.Fail(t, "another instance makes another attempt at once")
		}
	})
}
