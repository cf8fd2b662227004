// Package enginetest drives the engine without HTTP, on a database of its own: a test changes jobs
// through package jobs, and claims and ends their runs one step at a time. For tests only.
//
// A job is described by the JSON of the contract's JobCreate and JobUpdate. Each method fails the
// test if it cannot do what it says.
package enginetest

import (
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/api"
	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/database"
	"punctual/internal/events"
	"punctual/internal/history"
	"punctual/internal/jobs"
	"punctual/internal/maintenance"
	"punctual/internal/runid"
	"punctual/internal/testdb"
)

// Engine is a database of its own and what changes it.
type Engine struct {
	*db.Queries
	T    *testing.T
	Pool *pgxpool.Pool
	Jobs *jobs.Service
	// Events tells the jobs that events start.
	Events *events.Teller
}

// By is who changes jobs.
var By = access.Anonymous(access.DefaultNamespace)

var discard = slog.New(slog.DiscardHandler)

// New returns an engine without jobs.
func New(t *testing.T) *Engine {
	t.Helper()
	pool, err := database.Open(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return newOn(t, pool)
}

func newOn(t *testing.T, pool *pgxpool.Pool) *Engine {
	t.Helper()
	contract, err := api.JobContract()
	require.NoError(t, err)
	teller := events.New(events.Config{Queries: db.New(pool)})
	e := &Engine{
		Queries: db.New(pool), T: t, Pool: pool, Events: teller,
		Jobs: jobs.New(jobs.Config{Pool: pool, Logger: discard, Contract: contract, Events: teller}),
	}
	_, err = maintenance.Partitions(e.Queries).Pass(t.Context())
	require.NoError(t, err)
	return e
}

// Create creates a job.
func (e *Engine) Create(body string) jobs.View {
	e.T.Helper()
	view, err := e.Jobs.Create(e.T.Context(), By, e.change(body))
	require.NoError(e.T, err, "create %s", body)
	return view
}

// Due creates a job that is due now, and then once a minute. more is the rest of its JSON, which
// begins with a comma, or empty.
func (e *Engine) Due(more string) jobs.View {
	e.T.Helper()
	job := e.Create(`{"name":"due","intervalInSeconds":60` + more + `}`).Job.ID
	e.Age(job, time.Minute)
	return e.Job(job)
}

// Edit changes a job.
func (e *Engine) Edit(job uuid.UUID, body string) jobs.View {
	e.T.Helper()
	view, err := e.TryEdit(job, body)
	require.NoError(e.T, err, "change it to %s", body)
	return view
}

// TryEdit changes a job, if that is possible.
func (e *Engine) TryEdit(job uuid.UUID, body string) (jobs.View, error) {
	e.T.Helper()
	return e.Jobs.Update(e.T.Context(), By, job, e.change(body))
}

func (e *Engine) change(body string) (c jobs.Change) {
	e.T.Helper()
	require.NoError(e.T, json.Unmarshal([]byte(body), &c), body)
	return c
}

// Delete deletes a job.
func (e *Engine) Delete(job uuid.UUID) {
	e.T.Helper()
	require.NoError(e.T, e.Jobs.Delete(e.T.Context(), By, job))
}

// Job reads a job.
func (e *Engine) Job(id uuid.UUID) jobs.View {
	e.T.Helper()
	view, err := e.Jobs.Get(e.T.Context(), By, id)
	require.NoError(e.T, err)
	return view
}

// Start starts a run by hand, by an overlap policy or, if that is empty, by the job's own.
func (e *Engine) Start(job uuid.UUID, policy db.OverlapPolicy) jobs.Run {
	e.T.Helper()
	var overlap *db.OverlapPolicy
	if policy != "" {
		overlap = &policy
	}
	run, err := e.Jobs.StartRun(e.T.Context(), By, job, jobs.RunStart{OverlapPolicy: overlap})
	require.NoError(e.T, err)
	return run
}

// Cancel cancels an open run.
func (e *Engine) Cancel(run uuid.UUID) jobs.Run {
	e.T.Helper()
	canceled, err := e.Jobs.Cancel(e.T.Context(), By, run)
	require.NoError(e.T, err)
	return canceled
}

// Run reads a run.
func (e *Engine) Run(id uuid.UUID) jobs.Run {
	e.T.Helper()
	run, err := e.Jobs.GetRun(e.T.Context(), By, id)
	require.NoError(e.T, err)
	return run
}

// Runs reads the runs of a job, open and ended, newest first.
func (e *Engine) Runs(job uuid.UUID) (all []jobs.Run) {
	e.T.Helper()
	rows, err := history.List(e.T.Context(), e.Pool, db.ListRunsParams{
		JobID: job, Before: e.Now().Add(time.Hour), MaxRows: 100,
	})
	require.NoError(e.T, err)
	for _, row := range rows {
		all = append(all, jobs.Run(row))
	}
	return all
}

// IDOf returns the id of a run.
func IDOf(run jobs.Run) uuid.UUID { return runid.New(run.JobID, run.ScheduledFor) }

// Age moves all that a job has to do with time into the past, as if it had been created that much
// earlier.
func (e *Engine) Age(job uuid.UUID, by time.Duration) {
	e.T.Helper()
	e.Exec(`
		with job as (
			update jobs set anchor_at = anchor_at - $2::interval, created_at = created_at - $2::interval
			where id = $1
		)
		update due set scheduled_for = scheduled_for - $2::interval, ready_at = ready_at - $2::interval
		where job_id = $1`, job, by)
}

// Now returns the database's time.
func (e *Engine) Now() time.Time {
	e.T.Helper()
	now, err := e.DatabaseTime(e.T.Context())
	require.NoError(e.T, err)
	return now
}

// StartByEvents makes runs of all that events have started, and returns in how long the next is to
// be made; a minute if there is none.
func (e *Engine) StartByEvents() time.Duration {
	e.T.Helper()
	next, err := e.Jobs.StartByEvents(e.T.Context(), time.Minute)
	require.NoError(e.T, err)
	return next
}

// Exec executes a statement.
func (e *Engine) Exec(sql string, args ...any) {
	e.T.Helper()
	_, err := e.Pool.Exec(e.T.Context(), sql, args...)
	require.NoError(e.T, err)
}

// Count returns the number that a query returns.
func (e *Engine) Count(sql string, args ...any) (n int) {
	e.T.Helper()
	require.NoError(e.T, e.Pool.QueryRow(e.T.Context(), sql, args...).Scan(&n))
	return n
}
