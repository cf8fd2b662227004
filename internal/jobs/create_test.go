package jobs

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/testdb"
)

// setupTraced is setup with a note of its statements.
func setupTraced(t *testing.T) (fixture, *testdb.Statements) {
	t.Helper()
	pool, sent := testdb.Traced(t)
	return setupOn(t, pool), sent
}

// now returns the database's time.
func (f fixture) now() time.Time {
	f.t.Helper()
	now, err := f.queries.DatabaseTime(f.t.Context())
	require.NoError(f.t, err)
	return now
}

// creation are the statements that create a job, which are sent together.
var creation = []string{"CreateJob", "CreateFirst", "AuditCreation", "ReadCreated"}

func TestCreateTakesOneRoundTrip(t *testing.T) {
	t.Parallel()
	f, sent := setupTraced(t)
	f.clock.Observe(f.now())
	for _, schedule := range []string{`"intervalInSeconds":60`, `"cron":"@hourly"`, `"runAt":"2100-01-01T00:00:00Z"`} {
		// On a machine that is very busy, an estimate may become old on its way.
		require.Eventually(t, func() bool {
			before := f.now()
			sent.Take()
			job := f.create(`{"name":"x",` + schedule + `}`).Job
			names := sent.Take()
			require.WithinRange(t, job.CreatedAt, before.Add(-100*time.Millisecond), f.now())
			require.Equal(t, job.CreatedAt, job.UpdatedAt)
			return slices.Equal(names, creation)
		}, 10*time.Second, time.Millisecond, schedule)
	}
}

// Whatever the instance believes the time to be, the job is created by the database's clock.
func TestCreateWithWrongEstimate(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{
		-time.Hour, -time.Second, -150 * time.Millisecond, 10 * time.Second, time.Hour,
	} {
		t.Run(ahead.String(), func(t *testing.T) {
			t.Parallel()
			f, sent := setupTraced(t)
			begun := f.now()
			f.clock.Observe(begun.Add(ahead))
			sent.Take()
			job := f.create(`{"name":"x","intervalInSeconds":60}`)
			require.Equal(t, slices.Concat(creation, []string{"DatabaseTime"}, creation), sent.Take())
			require.WithinRange(t, job.Job.CreatedAt, begun, f.now())
			require.Equal(t, job.Job.CreatedAt.Add(time.Minute), *job.NextRunAt)
			require.Equal(t, 1, f.count(`select count(*) from jobs`))
			require.Equal(t, 1, f.count(`select count(*) from due`))

			soon := f.now().Add(30 * time.Second).UTC()
			job = f.create(fmt.Sprintf(`{"name":"x","runAt":%q}`, soon.Format(time.RFC3339Nano)))
			require.Equal(t, soon, *job.NextRunAt)
			_, err := f.Create(t.Context(), me, decode(t, fmt.Sprintf(`{"name":"x","runAt":%q}`,
				begun.Add(-2*time.Minute).Format(time.RFC3339Nano))))
			var invalid *Invalid
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, NeverDue, invalid.Fields[0].Code)
		})
	}
}
