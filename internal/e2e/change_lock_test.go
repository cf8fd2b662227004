package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
)

// afterWaiting does something that has to wait for a job's lock until an instant has passed.
func afterWaiting(t *testing.T, pool *pgxpool.Pool, job uuid.UUID, until time.Time, do func()) {
	t.Helper()
	lock, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = db.New(lock).LockJob(t.Context(), job)
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	require.Eventually(t, func() bool {
		now, err := db.New(pool).DatabaseTime(t.Context())
		return err == nil && now.After(until) && count(t, pool, `select count(*) from pg_locks where not granted`) > 0
	}, 10*time.Second, 5*time.Millisecond, "it waits for the lock")
	require.NoError(t, lock.Rollback(t.Context()))
	<-done
}

// What is due between a request and its turn can be backfilled like what was due before.
func TestBackfillThatWaitsForTheLock(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.create(t, `{"name":"each-second","cron":"* * * * * *"}`)
	service.patch(t, job.Id, `{"status":"PAUSED"}`)
	now, err := db.New(pool).DatabaseTime(t.Context())
	require.NoError(t, err)
	to := now.Truncate(time.Second).Add(2 * time.Second)
	afterWaiting(t, pool, job.Id, to, func() {
		got := service.backfill(t, job.Id, to, to)
		assert.Equal(t, http.StatusAccepted, got.StatusCode(), "%s", got.Body)
	})
}

// An edit counts from when it is made: what its schedule says of the time for which it waited was not missed.
func TestEditThatWaitsForTheLock(t *testing.T) {
	t.Parallel()
	service, pool := setup(t)
	job := service.due(t, pool, ``)
	run := begin(t, pool)
	now, err := db.New(pool).DatabaseTime(t.Context())
	require.NoError(t, err)
	passes := now.UTC().Truncate(time.Second).Add(2 * time.Second)
	afterWaiting(t, pool, job.Id, passes, func() {
		got := service.patch(t, job.Id, fmt.Sprintf(`{"cron":"%d * * * * *"}`, passes.Second()))
		assert.Equal(t, http.StatusOK, got.StatusCode(), "%s", got.Body)
	})
	end(t, pool, run, nil)
	require.Len(t, service.listRuns(t, job.Id), 1, "it ran, and nothing was passed over")
	require.Equal(t, passes.Add(time.Minute), service.getJob(t, job.Id).NextRunAt.UTC())
}
