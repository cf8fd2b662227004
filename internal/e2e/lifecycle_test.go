package e2e

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

func TestLifecycle(t *testing.T) {
	t.Parallel()
	// Create a job through the API, see it in the database, make it due, make one pass, and see the
	// timestamps move and the run recorded.
	t.Run("stores, executes and records", func(t *testing.T) {
		t.Parallel()
		service, db := setup(t)

		job := service.createJob(t, "nightly-report", 60, `{"report":"sales","rows":12345678901234567890,"of":[1.0,null]}`)
		require.Equal(t, client.JobStatusACTIVE, job.Status)
		require.Nil(t, job.LastRunAt, "it has not run")
		require.Nil(t, job.LastRun)
		require.Equal(t, client.JobHealthNEVERRAN, job.Health)
		require.Equal(t, job.CreatedAt.Add(time.Minute), *job.NextRunAt, "its first run is one interval after its creation")
		require.Equal(t, job.CreatedAt, job.UpdatedAt)
		require.Equal(t, job, service.getJob(t, job.Id), "what is read is what creating it answered")

		var name, payload string
		require.NoError(
			t,
			db.QueryRow(t.Context(), "select name, payload::text from jobs where id = $1", job.Id).Scan(&name, &payload),
		)
		require.Equal(t, "nightly-report", name)
		kept := payload == `{"report":"sales","rows":12345678901234567890,"of":[1.0,null]}`
		require.True(t, kept, "the payload is kept to the byte, not only as JSON: %s", payload)

		require.Zero(t, service.pass(t), "nothing is due yet")
		age(t, db, job.Id, time.Minute)
		due := *service.getJob(t, job.Id).NextRunAt
		require.Equal(t, 1, service.pass(t), "the job is due")
		require.Zero(t, service.pass(t), "it is due once")

		ran := service.getJob(t, job.Id)
		require.Equal(
			t,
			due.Add(time.Minute),
			*ran.NextRunAt,
			"the next comes from the instant it was due, not from when it ran",
		)
		require.NotNil(t, ran.LastRunAt)
		require.Equal(t, job.UpdatedAt, ran.UpdatedAt, "firing does not change the definition")

		runs := service.listRuns(t, job.Id)
		require.Len(t, runs, 1)
		run := runs[0]
		require.Equal(t, client.RunStatusSUCCEEDED, run.Status)
		require.Equal(t, due, run.ScheduledFor)
		require.Equal(t, *ran.LastRunAt, *run.StartedAt)
		require.False(t, run.StartedAt.Before(run.ScheduledFor), "never early")
		require.False(t, run.FinishedAt.Before(*run.StartedAt))
		require.EqualValues(t, 1, run.Attempt)
		require.EqualValues(t, 1, run.Occurrences)
		require.Equal(t, job.Id, run.JobId)
		require.Equal(t, job.Name, *run.JobName)
		require.Equal(t, run.StartedAt.Sub(run.ScheduledFor).Milliseconds(), *run.LatenessMilliseconds)
		require.Equal(t, run.FinishedAt.Sub(*run.StartedAt).Milliseconds(), *run.DurationMilliseconds)
		require.Nil(t, run.CancelRequestedAt)
		require.Equal(t, client.JobHealthOK, ran.Health)
		require.Equal(t, &client.LastRun{
			Id: run.Id, Status: client.EndedRunStatusSUCCEEDED, ScheduledFor: run.ScheduledFor, FinishedAt: run.FinishedAt,
		}, ran.LastRun)
		require.Equal(t, job.Id.String()[19:], run.Id.String()[19:], "a run's id ends as its job's does")

		got, err := service.GetRunWithResponse(t.Context(), run.Id)
		require.NoError(t, err)
		require.Equal(t, run, *got.JSON200)
	})
	// With the poller on.
	t.Run("in real time", func(t *testing.T) {
		t.Parallel()
		url := testdb.New(t)
		service := start(t, app.Config{
			Role: app.RoleAll, Database: app.DatabaseConfig{URL: url}, PollInterval: 50 * time.Millisecond,
		})
		job := service.createJob(t, "every-second", 1, `null`)

		runs := waitForRuns(t, service, job.Id, 3)
		for n, run := range runs {
			want := job.CreatedAt.Add(time.Duration(len(runs)-n) * time.Second)
			require.Equal(t, want, run.ScheduledFor, "one run for each second, none missing, newest first")
			require.False(t, run.StartedAt.Before(run.ScheduledFor), "never early")
		}
	})
	// They share the work, and no occurrence is executed twice.
	t.Run("on two instances", func(t *testing.T) {
		t.Parallel()
		url := testdb.New(t)
		c := app.Config{
			Role:              app.RoleAll,
			Database:          app.DatabaseConfig{URL: url},
			PollInterval:      20 * time.Millisecond,
			MaxConcurrentRuns: 4,
		}
		one, other := start(t, c), start(t, c)
		db := connect(t, url)

		var jobs []uuid.UUID
		for range 20 {
			jobs = append(jobs, one.createJob(t, "shared", 1, `null`).Id)
		}
		for _, id := range jobs {
			waitForRuns(t, other, id, 3)
		}
		require.NoError(t, one.stop())
		require.NoError(t, other.stop())

		var runs, instants, attempts, gaps int
		require.NoError(t, db.QueryRow(t.Context(), `
			select count(*), count(distinct (job_id, scheduled_for)), max(attempt),
				count(*) filter (where gap <> interval '1 second')
			from (
				select *, scheduled_for - lag(scheduled_for) over (partition by job_id order by scheduled_for) as gap
				from runs
			) as r`).Scan(&runs, &instants, &attempts, &gaps))
		require.GreaterOrEqual(t, runs, 60)
		require.Equal(t, runs, instants, "no occurrence is doubled")
		require.Equal(t, 1, attempts, "no occurrence was claimed twice")
		require.Zero(t, gaps, "no occurrence is missing")
	})
}

// Ten instances that start at once on an empty database migrate it once.
func TestConcurrentStart(t *testing.T) {
	t.Parallel()
	testdb.NotOnCitus(t, "the schema public is made anew")
	url := testdb.New(t)
	db := connect(t, url)
	_, err := db.Exec(t.Context(), "drop schema public cascade; create schema public")
	require.NoError(t, err)

	failed := make(chan error, 10)
	for range cap(failed) {
		go func() {
			service, err := app.New(t.Context(), app.Config{Host: "127.0.0.1", Database: app.DatabaseConfig{URL: url}}, discard)
			if err == nil {
				stopped, stop := context.WithCancel(context.Background())
				stop()
				err = service.Run(stopped)
			}
			failed <- err
		}()
	}
	for range cap(failed) {
		require.NoError(t, <-failed, "each instance starts")
	}
	var applied int
	require.NoError(t, db.QueryRow(t.Context(), "select count(*) from schema_migrations").Scan(&applied))
	require.Positive(t, applied)
}

func TestHealth(t *testing.T) {
	t.Parallel()
	// The instance still serves.
	t.Run("says first that a stopping instance is not ready", func(t *testing.T) {
		t.Parallel()
		url := testdb.New(t)
		service := start(t, app.Config{
			Role: app.RoleAll, Database: app.DatabaseConfig{URL: url}, ShutdownDelay: 5 * time.Second,
		})
		ready, err := service.GetReadinessWithResponse(t.Context())
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, ready.StatusCode())

		stopped := make(chan error, 1)
		go func() { stopped <- service.stop() }()
		require.EventuallyWithT(t, func(c *assertCollect) {
			ready, err := service.GetReadinessWithResponse(t.Context())
			require.NoError(c, err, "it still serves")
			require.Equal(c, http.StatusServiceUnavailable, ready.StatusCode())
			require.Equal(c, "The instance is stopping.", ready.ApplicationproblemJSON503.Detail)
		}, 5*time.Second, 10*time.Millisecond)
		live, err := service.GetLivenessWithResponse(t.Context())
		require.NoError(t, err, "it still serves")
		require.Equal(t, http.StatusOK, live.StatusCode())
		require.NoError(t, <-stopped)
	})
	// The process is alive all the same.
	t.Run("says that an instance without a schema is not ready", func(t *testing.T) {
		t.Parallel()
		service, db := setup(t)
		_, err := db.Exec(t.Context(), "delete from schema_migrations")
		require.NoError(t, err)

		ready, err := service.GetReadinessWithResponse(t.Context())
		require.NoError(t, err)
		require.Equal(t, http.StatusServiceUnavailable, ready.StatusCode())
		live, err := service.GetLivenessWithResponse(t.Context())
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, live.StatusCode())
	})
	t.Run("is all that a poller serves", func(t *testing.T) {
		t.Parallel()
		service := start(t, app.Config{Role: app.RolePoller, Database: app.DatabaseConfig{URL: testdb.New(t)}})
		ready, err := service.GetReadinessWithResponse(t.Context())
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, ready.StatusCode())
		jobs, err := service.ListJobsWithResponse(t.Context(), nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, jobs.StatusCode())
	})
}

// waitForRuns waits until a job has at least n ended runs and returns them, newest first.
func waitForRuns(t *testing.T, service instance, job uuid.UUID, n int) []client.Run {
	t.Helper()
	var runs []client.Run
	require.EventuallyWithT(t, func(c *assertCollect) {
		status := client.RunStatuses{client.RunStatusSUCCEEDED}
		got, err := service.ListJobRunsWithResponse(t.Context(), job, &client.ListJobRunsParams{Status: &status})
		require.NoError(c, err)
		require.GreaterOrEqual(c, len(got.JSON200.Items), n, "runs of job %s", job)
		runs = got.JSON200.Items
	}, 30*time.Second, 50*time.Millisecond)
	return runs
}

// count returns the number a query gives.
func count(t *testing.T, db *pgxpool.Pool, query string, args ...any) int {
	t.Helper()
	var n int
	require.NoError(t, db.QueryRow(t.Context(), query, args...).Scan(&n))
	return n
}
