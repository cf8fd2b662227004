// Package e2e tests the service from the outside: over HTTP, through the generated client, on a
// real PostgreSQL.
package e2e

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/logging"
	"punctual/internal/testdb"
)

// instance is a running service.
type instance struct {
	*client.ClientWithResponses
	url string
	// header is what each request of the caller has, besides its own.
	header http.Header
	app    *app.App
	// stop ends it as SIGTERM would, and returns what Run returned.
	stop func() error
}

// setup starts an instance on a database of its own that polls only when told to.
func setup(t *testing.T) (instance, *pgxpool.Pool) {
	t.Helper()
	url := testdb.New(t)
	return start(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: url}}), connect(t, url)
}

// start runs an instance until the test's end, on a port of its own.
func start(t *testing.T, c app.Config) instance {
	t.Helper()
	c.Host = "127.0.0.1"
	written.opened(c.Database.URL)
	t.Cleanup(func() { written.closed(t, c.Database.URL) })
	service, err := app.New(t.Context(), c, slog.New(slog.NewMultiHandler(
		logging.New(t.Output(), slog.LevelWarn).Handler(), logging.New(&written, slog.LevelDebug).Handler(),
	)))
	require.NoError(t, err, "the service starts")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	stop := func() error {
		cancel()
		err := <-ended
		ended <- err
		return err
	}
	t.Cleanup(func() { require.NoError(t, stop(), "the service stops") })

	c2, err := client.NewClientWithResponses(service.URL(), client.WithRequestEditorFn(note))
	require.NoError(t, err)
	return instance{ClientWithResponses: c2, url: service.URL(), app: service, stop: stop}
}

// connect connects to the database of a service, to read what it stored and to make jobs older.
func connect(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// createJob creates a job and returns it.
func (i instance) createJob(t *testing.T, name string, intervalSeconds int64, payload string) client.Job {
	t.Helper()
	created, err := i.CreateJobWithResponse(t.Context(), nil, client.JobCreate{
		Name: name, IntervalInSeconds: &intervalSeconds, Payload: json.RawMessage(payload),
	})
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, created.StatusCode(), "created: %s", created.Body)
	return *created.JSON201
}

// getJob reads a job.
func (i instance) getJob(t *testing.T, id uuid.UUID) client.Job {
	t.Helper()
	got, err := i.GetJobWithResponse(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), "found: %s", got.Body)
	return *got.JSON200
}

// updateJob changes a job and returns it.
func (i instance) updateJob(t *testing.T, id uuid.UUID, to client.JobUpdate) client.Job {
	t.Helper()
	got, err := i.UpdateJobWithResponse(t.Context(), id, nil, to)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), "updated: %s", got.Body)
	return *got.JSON200
}

// listRuns reads the newest runs of a job.
func (i instance) listRuns(t *testing.T, job uuid.UUID) []client.Run {
	t.Helper()
	limit := client.Limit(100)
	got, err := i.ListJobRunsWithResponse(t.Context(), job, &client.ListJobRunsParams{Limit: &limit})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), "listed: %s", got.Body)
	return got.JSON200.Items
}

// pass makes one pass of the instance's poller and returns how many runs it executed.
func (i instance) pass(t *testing.T) int {
	t.Helper()
	n, err := i.app.Poller().Pass(t.Context())
	require.NoError(t, err, "a pass succeeds")
	return n
}

// age moves everything a job has to do with time into the past, as if it had been created that much
// earlier.
func age(t *testing.T, db *pgxpool.Pool, job uuid.UUID, by time.Duration) {
	t.Helper()
	_, err := db.Exec(t.Context(), `
		with job as (
			update jobs set anchor_at = later(anchor_at, -$2::interval), created_at = later(created_at, -$2::interval) where id = $1
		)
		update due set scheduled_for = later(scheduled_for, -$2::interval), ready_at = later(ready_at, -$2::interval) where job_id = $1`,
		job, by)
	require.NoError(t, err, "the job is made due")
}

type assertCollect = assert.CollectT

var discard = slog.New(slog.DiscardHandler)
