package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

func TestCancelRun(t *testing.T) {
	t.Parallel()
	// It ends, whatever it waits for.
	t.Run("that nobody executes", func(t *testing.T) {
		t.Parallel()
		newest := func(t *testing.T, service instance, job client.Job) client.Run {
			t.Helper()
			return service.listRuns(t, job.Id)[0]
		}
		for name, c := range map[string]struct {
			body    string
			prepare func(t *testing.T, service instance, job client.Job) client.Run
			attempt int32
		}{
			"due":                  {``, newest, 0},
			"due, and may overlap": {`,"overlapPolicy":"ALLOW_ALL"`, newest, 0},
			"waits for a worker":   {`,"target":{"type":"worker","queue":"nobody"}`, newest, 0},
			"by hand, beside the schedule": {``, func(t *testing.T, service instance, job client.Job) client.Run {
				t.Helper()
				service.executes(t, 1)
				service.patch(t, job.Id, `{"status":"PAUSED"}`)
				return service.startRun(t, job.Id, "")
			}, 0},
			"before another attempt": {
				`,"minBackoffSeconds":600,"target":{"type":"worker","queue":"q"}`,
				func(t *testing.T, service instance, _ client.Job) client.Run {
					t.Helper()
					run := service.leaseOne(t, "q")
					service.fail(t, run, `,"error":"no luck"`)
					return service.readRun(t, run.Id)
				}, 1,
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				service, pool := setup(t)
				job := service.due(t, pool, c.body)
				run := c.prepare(t, service, job)
				before := service.getJob(t, job.Id)
				require.Equal(t, http.StatusAccepted, service.cancel(t, run.Id).StatusCode())
				require.Equal(t, http.StatusAccepted, service.cancel(t, run.Id).StatusCode(), "doing it twice changes nothing")
				service.executes(t, 1)

				ended := service.readRun(t, run.Id)
				require.Equal(t, client.RunStatusCANCELED, ended.Status)
				require.Equal(t, client.RunReasonREQUESTED, *ended.Reason)
				require.Equal(t, c.attempt, ended.Attempt)
				require.Equal(t, c.attempt == 0, ended.StartedAt == nil)
				require.Nil(t, ended.Error)
				require.Equal(t, http.StatusConflict, service.cancel(t, run.Id).StatusCode(), "it has ended")
				after := service.getJob(t, job.Id)
				if before.Status == client.JobStatusACTIVE {
					require.Equal(t, job.NextRunAt.Add(time.Minute), *after.NextRunAt, "the schedule goes on")
				}
				require.EqualValues(
					t,
					count(t, pool, `select count(*) from runs where attempt > 0`),
					after.RunCount,
					"what began is counted",
				)
			})
		}
	})
	// It was not executed, so it does not count.
	t.Run("that is the last of maxRuns", func(t *testing.T) {
		t.Parallel()
		for _, policy := range []string{"SKIP", "ALLOW_ALL"} {
			service, pool := setup(t)
			job := service.due(t, pool, `,"maxRuns":1,"overlapPolicy":"`+policy+`"`)
			require.Equal(t, http.StatusAccepted, service.cancel(t, service.listRuns(t, job.Id)[0].Id).StatusCode())
			service.executes(t, 1)
			after := service.getJob(t, job.Id)
			require.Zero(t, after.RunCount)
			require.Equal(t, client.JobStatusACTIVE, after.Status, "another is left")
			require.Equal(t, job.NextRunAt.Add(time.Minute), *after.NextRunAt)
		}
	})
	t.Run("that waits for another", func(t *testing.T) {
		t.Parallel()
		service, pool := setup(t)
		job := service.due(t, pool, queued+`,"overlapPolicy":"BUFFER_ONE"`)
		first := service.leaseOne(t, "q")
		waits := service.startRun(t, job.Id, "")
		canceled := service.cancel(t, waits.Id)
		require.Equal(t, http.StatusAccepted, canceled.StatusCode())
		require.Equal(t, client.RunStatusCANCELED, canceled.JSON202.Status, "at once")
		require.Equal(t, http.StatusConflict, service.cancel(t, waits.Id).StatusCode())
		another := service.startRun(t, job.Id, "")
		require.Equal(t, client.RunStatusPENDING, another.Status, "there is room again")
		service.complete(t, first, "")
		service.complete(t, service.leaseOne(t, "q"), "")
		require.Equal(t, client.RunStatusSUCCEEDED, service.readRun(t, another.Id).Status)
		require.Len(t, service.listRuns(t, job.Id), 3)
	})
	t.Run("that does not exist", func(t *testing.T) {
		t.Parallel()
		service, pool := setup(t)
		job := service.createJob(t, "idle", 60, `null`)
		require.Equal(t, http.StatusNotFound, service.cancel(t, uuid.Must(uuid.NewV7())).StatusCode())
		require.Equal(t, http.StatusNotFound, service.cancel(t, uuid.New()).StatusCode())
		age(t, pool, job.Id, time.Minute)
		run := service.listRuns(t, job.Id)[0]
		age(t, pool, job.Id, -time.Minute)
		require.Equal(t, http.StatusNotFound, service.cancel(t, run.Id).StatusCode(), "what is not due yet is no run")
	})
	// Whichever instance was asked, the one that executes the run is told, or finds out.
	t.Run("that an instance executes", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"here", "elsewhere", "found out"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				target, c, began, gone := hangs(t)
				service := start(t, c)
				job := service.create(t, `{"name":"hangs","intervalInSeconds":3600,"target":`+target+`}`)
				run := service.startRun(t, job.Id, "")
				<-began
				switch name {
				case "here":
					require.Equal(t, http.StatusAccepted, service.cancel(t, run.Id).StatusCode())
				case "elsewhere":
					c.Role = app.RoleAPI
					other := start(t, c)
					require.Equal(t, http.StatusAccepted, other.cancel(t, run.Id).StatusCode())
				default: // nobody was told
					_, err := connect(
						t,
						c.Database.URL,
					).Exec(t.Context(), `update due set cancel_reason = 'REQUESTED' where job_id = $1`, job.Id)
					require.NoError(t, err)
				}
				<-gone
				require.EventuallyWithT(t, func(c *assertCollect) {
					got, err := service.GetRunWithResponse(t.Context(), run.Id)
					require.NoError(c, err)
					require.Equal(c, client.RunStatusCANCELED, got.JSON200.Status)
					require.Equal(c, client.RunReasonREQUESTED, *got.JSON200.Reason)
					require.EqualValues(c, 1, got.JSON200.Attempt, "no other attempt is made")
				}, 10*time.Second, 10*time.Millisecond)
				require.Equal(t, http.StatusConflict, service.cancel(t, run.Id).StatusCode())
				require.Equal(t, *job.NextRunAt, *service.getJob(t, job.Id).NextRunAt, "the schedule goes on")
			})
		}
	})
	// Its heartbeat tells the worker. Then the run ends as the worker reports.
	t.Run("that a worker executes", func(t *testing.T) {
		t.Parallel()
		for name, c := range map[string]struct {
			then   func(*testing.T, instance, client.LeasedRun)
			passes int
			status client.RunStatus
		}{
			"it fails": {func(t *testing.T, service instance, run client.LeasedRun) {
				t.Helper()
				service.fail(t, run, `,"error":"told to"`)
			}, 0, client.RunStatusCANCELED},
			"it was done": {func(t *testing.T, service instance, run client.LeasedRun) {
				t.Helper()
				service.complete(t, run, "")
			}, 0, client.RunStatusSUCCEEDED},
			"it gives it back": {func(t *testing.T, service instance, run client.LeasedRun) {
				t.Helper()
				service.release(t, run)
			}, 1, client.RunStatusCANCELED},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				service, pool := setup(t)
				service.due(t, pool, `,"target":{"type":"worker","queue":"q"}`)
				lease := service.lease(t, "q", `{"waitSeconds":0,"leaseSeconds":60}`)
				run := lease.Runs[0]
				require.Equal(t, http.StatusAccepted, service.cancel(t, run.Id).StatusCode())
				require.Equal(t, client.RunStatusRUNNING, service.readRun(t, run.Id).Status)
				told, err := service.HeartbeatWithResponse(t.Context(), lease.Id)
				require.NoError(t, err)
				require.Equal(t, []uuid.UUID{run.Id}, told.JSON200.Canceled)
				require.Nil(t, service.lease(t, "q", `{"waitSeconds":0}`))

				c.then(t, service, run)
				if c.passes > 0 {
					require.Nil(t, service.lease(t, "q", `{"waitSeconds":0}`), "no worker is needed for it any more")
					service.executes(t, c.passes)
				}
				require.Equal(t, c.status, service.readRun(t, run.Id).Status)
				require.Equal(t, http.StatusConflict, service.says(t, run, "complete", ""), "it has ended")
				require.Equal(
					t,
					1,
					count(t, pool, `select count(*) from due where carries_schedule and scheduled_for > now() and awaits_worker`),
				)
			})
		}
	})
}

// hangs starts a target that does not answer, and returns it with the configuration that can reach
// it. It sends to began for each request, and to gone when the client of one has left.
func hangs(t *testing.T) (target string, c app.Config, began, gone <-chan struct{}) {
	t.Helper()
	asked, left := make(chan struct{}, 10), make(chan struct{}, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
		left <- struct{}{}
	}))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	require.NoError(t, err)
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	require.NoError(t, err)
	c = app.Config{
		Role: app.RoleAll, Database: app.DatabaseConfig{URL: testdb.New(t)}, PollInterval: 50 * time.Millisecond,
		OutboundAllowCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, OutboundAllowPorts: []uint16{uint16(port)},
	}
	return fmt.Sprintf(`{"type":"http","url":%q,"method":"GET"}`, server.URL), c, asked, left
}
