package e2e

import (
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/internal/app"
	"punctual/internal/testdb"
)

// The clock of a machine does not make workers wait, even if its instance has not claimed anything
// yet from which it would know the time.
func TestWrongClock(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ahead        time.Duration // of the machine's clock is the database's
		pollInterval time.Duration
		becomeDue    func(t *testing.T, service instance, pool *pgxpool.Pool, job uuid.UUID)
	}{
		"fast, and it was not told": {
			-time.Hour, 200 * time.Millisecond,
			func(t *testing.T, _ instance, pool *pgxpool.Pool, job uuid.UUID) {
				t.Helper()
				age(t, pool, job, time.Hour)
			},
		},
		"slow, and it was told": {
			time.Hour, 15 * time.Second,
			func(t *testing.T, service instance, _ *pgxpool.Pool, job uuid.UUID) {
				t.Helper()
				service.startRun(t, job, "")
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := testdb.New(t)
			setDatabaseClock(t, url, c.ahead)
			pool := connect(t, url)
			service := start(t, app.Config{
				Role: app.RoleAPI, Database: app.DatabaseConfig{URL: url}, PollInterval: c.pollInterval,
			})
			for range 2 { // before the instance has learnt the time, and after
				leases := service.waitAtQueue(t, 1, `{"waitSeconds":30}`)
				someoneWaits(t, pool)
				c.becomeDue(t, service, pool, service.create(t, `{"name":"x","intervalInSeconds":3600`+queued+`}`).Id)
				require.NotNil(t, <-leases, "it is leased before the worker has waited for half a minute")
			}
		})
	}
}

// A job is created by the database's clock, whatever the machine's says, before the instance has
// learnt the time and after.
func TestCreatedByTheDatabasesClock(t *testing.T) {
	t.Parallel()
	testdb.NotOnCitus(t, "the clock of a worker cannot be replaced")
	for _, ahead := range []time.Duration{-time.Hour, time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			t.Parallel()
			url := testdb.New(t)
			setDatabaseClock(t, url, ahead)
			service := start(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: url}})
			for range 2 {
				before := time.Now().Add(ahead - time.Second)
				job := service.create(t, `{"name":"x","runAt":"`+before.Add(time.Minute).UTC().Format(time.RFC3339Nano)+`"}`)
				require.WithinRange(t, job.CreatedAt, before, time.Now().Add(ahead))
			}
		})
	}
}

// setDatabaseClock sets the clock of a database ahead of the machine's, for all sessions from now
// on.
func setDatabaseClock(t *testing.T, url string, ahead time.Duration) {
	t.Helper()
	interval := strconv.FormatInt(ahead.Microseconds(), 10) + " microseconds"
	_, err := connect(t, url).Exec(t.Context(), `
		create schema wrong;
		create function wrong.now() returns timestamptz stable language sql
			return pg_catalog.now() + interval '`+interval+`';
		create function wrong.clock_timestamp() returns timestamptz volatile language sql
			return pg_catalog.clock_timestamp() + interval '`+interval+`';
		do $$ begin
			execute format('alter database %I set search_path = wrong, pg_catalog, public', current_database());
		end $$`)
	require.NoError(t, err)
}
