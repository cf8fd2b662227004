package jobs

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
)

// The first that is true counts. The schema has the same rule, for lists.
func TestHealth(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, c := range []struct {
		status         db.JobStatus
		failures       int32
		isLate, hasRun bool
		want           Health
	}{
		{db.JobStatusPAUSED, 1, true, true, HealthPaused},
		{db.JobStatusPAUSED, 0, false, false, HealthPaused},
		{db.JobStatusACTIVE, 1, true, true, HealthFailing},
		{db.JobStatusCOMPLETED, 2, false, true, HealthFailing},
		{db.JobStatusACTIVE, 0, true, true, HealthLate},
		{db.JobStatusACTIVE, 0, true, false, HealthLate},
		{db.JobStatusCOMPLETED, 0, true, true, HealthLate},
		{db.JobStatusCOMPLETED, 0, false, true, HealthCompleted},
		{db.JobStatusCOMPLETED, 0, false, false, HealthCompleted},
		{db.JobStatusACTIVE, 0, false, false, HealthNeverRan},
		{db.JobStatusACTIVE, 0, false, true, HealthOK},
	} {
		require.Equal(t, c.want, healthOf(c.status, c.failures, c.isLate, c.hasRun), "%+v", c)
		var at *time.Time
		if c.hasRun {
			at = &noon
		}
		var ofSchema Health
		require.NoError(t, f.Pool.QueryRow(t.Context(), `select job_health($1, $2::smallint, $3, $4)`,
			c.status, c.failures, c.isLate, at).Scan(&ofSchema))
		require.Equal(t, c.want, ofSchema, "%+v", c)
	}
}

// A run is late that is ready since more than a minute, while nobody holds it.
func TestLate(t *testing.T) {
	t.Parallel()
	f := setup(t)
	job := f.create(`{"name":"j","intervalInSeconds":3600}`).Job.ID
	for ready, want := range map[string]Health{"-59 seconds": HealthNeverRan, "-61 seconds": HealthLate, "1 hour": HealthNeverRan} {
		f.exec(`update due set scheduled_for = now() + $1::interval, ready_at = now() + $1::interval`, ready)
		view, err := f.Get(t.Context(), me, job)
		require.NoError(t, err)
		require.Equal(t, want, view.Health, ready)
		require.False(t, view.IsRunning)
	}
	f.exec(`update due set scheduled_for = now() - interval '1 hour', ready_at = now() - interval '1 hour', started_at = now(),
		lease_id = job_id, attempt = 1, token = 1`)
	view, err := f.Get(t.Context(), me, job)
	require.NoError(t, err)
	require.Equal(t, HealthNeverRan, view.Health)
	require.True(t, view.IsRunning)
}
