package app_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

// instance is a running service on a database of its own.
type instance struct {
	*client.ClientWithResponses
	url string
	db  *pgxpool.Pool // not one of the service's
}

// setup starts an instance until the test's end.
func setup(t *testing.T, c app.Config) instance {
	t.Helper()
	c.Host, c.Database.URL = "127.0.0.1", testdb.New(t)
	service, err := app.New(t.Context(), c, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})))
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended, "the service stops")
	})
	api, err := client.NewClientWithResponses(service.URL())
	require.NoError(t, err)
	db, err := pgxpool.New(t.Context(), c.Database.URL)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return instance{ClientWithResponses: api, url: service.URL(), db: db}
}

// createJob creates a job that logs every second.
func (i instance) createJob(t *testing.T, name string) client.Job {
	t.Helper()
	created, err := i.CreateJobWithResponse(t.Context(), nil, client.JobCreate{Name: name, IntervalInSeconds: new(int64(1))})
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, created.StatusCode(), "created: %s", created.Body)
	return *created.JSON201
}

// isReady returns what /readyz answers.
func (i instance) isReady(t require.TestingT) bool {
	got, err := i.GetReadinessWithResponse(context.Background())
	require.NoError(t, err)
	return got.StatusCode() == http.StatusOK
}
