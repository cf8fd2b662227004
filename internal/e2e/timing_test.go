package e2e

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

// never is a poll interval so long that whatever is executed was not found by polling.
const never = time.Hour

func TestTiming(t *testing.T) {
	t.Parallel()
	t.Run("other instances are told of runs that are due soon", func(t *testing.T) {
		t.Parallel()
		url := testdb.New(t)
		c := app.Config{Database: app.DatabaseConfig{URL: url}, PollInterval: never}
		c.Role = app.RolePoller
		start(t, c)
		c.Role = app.RoleAPI
		service := start(t, c)

		job := service.createJob(t, "soon", 1, `null`)
		waitForRuns(t, service, job.Id, 2)

		service.updateJob(t, job.Id, client.JobUpdate{Status: new(client.JobUpdateStatusPAUSED)})
		paused := len(service.listRuns(t, job.Id))
		service.updateJob(t, job.Id, client.JobUpdate{Status: new(client.JobUpdateStatusACTIVE)})
		waitForRuns(t, service, job.Id, paused+2)

		later := service.createJob(t, "later", 3600, `null`)
		service.updateJob(t, later.Id, client.JobUpdate{IntervalInSeconds: new(int64(1))})
		waitForRuns(t, service, later.Id, 1)
	})
	// An instance with a short poll interval tells one with a long one, which would not look in
	// time.
	t.Run("no poll interval decides when runs start", func(t *testing.T) {
		t.Parallel()
		url := testdb.New(t)
		start(t, app.Config{Role: app.RolePoller, Database: app.DatabaseConfig{URL: url}, PollInterval: never})
		service := start(
			t,
			app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: url}, PollInterval: 50 * time.Millisecond},
		)
		job := service.createJob(t, "in a while", 4, `null`)
		run := waitForRuns(t, service, job.Id, 1)[0]
		require.Less(t, run.StartedAt.Sub(run.ScheduledFor), 5*time.Second)
	})
	// It listens again, and makes up for the notifications that it missed.
	t.Run("a listener reconnects", func(t *testing.T) {
		t.Parallel()
		url := testdb.New(t)
		service := start(t, app.Config{Role: app.RoleAll, Database: app.DatabaseConfig{URL: url}, PollInterval: never})
		db := connect(t, url)
		listening := "select count(*) from pg_stat_activity where datname = current_database() " +
			"and query like '%listen punctual_%' and pid <> pg_backend_pid()"
		require.Eventually(t, func() bool { return count(t, db, listening) == 1 }, 10*time.Second, 10*time.Millisecond)

		require.Equal(t, 1, count(t, db, `select count(pg_terminate_backend(pid)) from pg_stat_activity
			where datname = current_database() and query like '%listen punctual_%' and pid <> pg_backend_pid()`))
		missed := service.createJob(t, "missed", 1, `null`)
		waitForRuns(t, service, missed.Id, 1)
		require.Equal(t, 1, count(t, db, listening))
		heard := service.createJob(t, "heard", 1, `null`)
		waitForRuns(t, service, heard.Id, 1)
	})
	// A run that is known in time starts neither before its instant nor later than the machine's
	// jitter. On a busy machine that is much for some runs, but not for each.
	t.Run("runs start at their instant", func(t *testing.T) {
		t.Parallel()
		url := testdb.New(t)
		service := start(t, app.Config{Role: app.RoleAll, Database: app.DatabaseConfig{URL: url}, PollInterval: never})
		job := service.createJob(t, "exact", 1, `null`)
		var late []time.Duration
		for _, run := range waitForRuns(t, service, job.Id, 4) {
			late = append(late, run.StartedAt.Sub(run.ScheduledFor))
		}
		require.GreaterOrEqual(t, slices.Min(late), time.Duration(0), "never early")
		require.Less(t, slices.Min(late), 300*time.Millisecond, "%v", late)
		require.Less(t, slices.Max(late), 5*time.Second, "%v", late)
	})
}
