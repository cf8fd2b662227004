package jobs_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/jobs"
	"punctual/internal/policy"
	"punctual/internal/testdb/enginetest"
)

// The database's clock was two days ahead for a while, and has come back.
func TestBringBack(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	const every = `,"intervalInSeconds":600}`
	ran, jumped, other := e.Create(`{"name":"ran"`+every), e.Create(`{"name":"jumped"`+every), e.Create(`{"name":"other"`+every)
	paused := e.Create(`{"name":"paused"` + every)
	e.Edit(paused.Job.ID, `{"status":"PAUSED"}`)
	at := func(job jobs.View, n int) time.Time { return job.Job.AnchorAt.Add(time.Duration(n) * 10 * time.Minute) }
	// One has run five times meanwhile, and another was too late for all of its occurrences.
	e.Exec(`update due set scheduled_for = $2, ready_at = $2, last_run_for = $3, last_run_at = $3, last_run_status = 'SUCCEEDED'
		where job_id = $1`, ran.Job.ID, at(ran, 300), at(ran, 299))
	for n := 295; n < 300; n++ {
		e.Exec(`insert into runs (job_id, scheduled_for, started_at, finished_at, status, attempt, occurrences) values ($1, $2, $2, $2, 'SUCCEEDED', 1, 1)`,
			ran.Job.ID, at(ran, n))
	}
	e.Exec(`update due set scheduled_for = $2, ready_at = $2 where job_id = $1`, jumped.Job.ID, at(jumped, 300))
	e.Exec(`insert into leases (id, holder, expires_at) values (gen_random_uuid(), 'dead', now() + interval '2 days')`)
	e.Exec(`insert into instances (id, name, version, roles, expires_at, executing, asked_queues, asking)
		values (gen_random_uuid(), 'dead', '1', '{}', now() + interval '2 days', 0, '{}', '{}')`)
	wasAhead, err := e.WasClockAhead(t.Context())
	require.NoError(t, err)
	require.True(t, wasAhead)

	changed, err := e.Jobs.BringBack(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, changed)
	for _, job := range []jobs.View{ran, jumped, other} {
		require.WithinDuration(t, at(job, 1), *e.Job(job.Job.ID).NextRunAt, 0, "%s is due as if nothing had happened", job.Job.Name)
	}
	require.Zero(t, e.Count(`select count(*) from leases where expires_at > now() + interval '1 minute'`), "nobody waits for a dead instance")
	wasAhead, err = e.WasClockAhead(t.Context())
	require.NoError(t, err)
	require.False(t, wasAhead, "all is done")
	changed, err = e.Jobs.BringBack(t.Context())
	require.NoError(t, err)
	require.Zero(t, changed, "and to do it again changes nothing")

	// What has run is not repeated when its time comes.
	after := e.Job(ran.Job.ID)
	when, err := policy.Schedule(&after.Job)
	require.NoError(t, err)
	next, ok := when.Next(at(ran, 293))
	require.True(t, ok)
	require.WithinDuration(t, at(ran, 294), next, 0)
	next, ok = when.Next(next)
	require.True(t, ok)
	require.WithinDuration(t, at(ran, 300), next, 0)
	require.EqualValues(t, 1, after.Job.Version, "its definition is the same")
}
