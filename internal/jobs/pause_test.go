package jobs

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
)

const paused = `{"status":"PAUSED","statusReason":"holidays"}`

// What a pause passes over is counted in one run, whatever ends the pause.
func TestPauseIsRecorded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  func(fixture, View)
		want []skip
	}{
		"resumed": {func(f fixture, v View) { f.update(v.Job.ID, `{"status":"ACTIVE"}`) }, []skip{{"JOB_PAUSED", "holidays", 60}}},
		"rescheduled while paused": {
			func(f fixture, v View) {
				require.Equal(f.t, db.JobStatusPAUSED, f.update(v.Job.ID, `{"intervalInSeconds":1}`).Job.Status)
				f.update(v.Job.ID, `{"intervalInSeconds":2}`)
			},
			[]skip{{"JOB_PAUSED", "holidays", 60}},
		},
		"deleted":                  {func(f fixture, v View) { require.NoError(f.t, f.Delete(f.t.Context(), me, v.Job.ID)) }, []skip{{"JOB_PAUSED", "holidays", 60}}},
		"renamed, which ends none": {func(f fixture, v View) { f.update(v.Job.ID, `{"name":"other"}`) }, nil},
		"paused again, which ends none": {
			func(f fixture, v View) { f.update(v.Job.ID, `{"status":"PAUSED","statusReason":"more"}`) }, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			job := f.create(`{"name":"each minute","intervalInSeconds":60}`)
			f.update(job.Job.ID, paused)
			f.pausedFor(job.Job.ID, time.Hour+time.Second)
			c.end(f, job)
			require.Equal(t, c.want, f.skips(job.Job.ID))
		})
	}
}

func TestPauseWithoutAnOccurrenceLeavesNothing(t *testing.T) {
	t.Parallel()
	f := setup(t)
	job := f.create(`{"name":"hourly","intervalInSeconds":3600}`)
	f.update(job.Job.ID, paused)
	f.update(job.Job.ID, `{"status":"ACTIVE"}`)
	require.Empty(t, f.skips(job.Job.ID))
}

// However long a pause was, it ends at once, and only what is kept anyway is counted.
func TestLongPauses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		schedule  string
		retention int
		want      int
	}{
		"an interval, counted exactly":   {`"intervalInSeconds":1`, 0, 20 * 365 * 86400},
		"a cron expression, up to a cap": {`"cron":"* * * * * *"`, 0, 100_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *Config) { c.RetentionDays = 0 })
			f.RetentionDays = c.retention
			job := f.create(`{"name":"x",` + c.schedule + `}`)
			f.update(job.Job.ID, paused)
			f.exec(`delete from runs`) // of what came due before the pause, if the machine is busy
			f.pausedFor(job.Job.ID, 20*365*24*time.Hour)
			f.update(job.Job.ID, `{"status":"ACTIVE"}`)
			skips := f.skips(job.Job.ID)
			require.Len(t, skips, 1)
			require.InDelta(t, c.want, skips[0].Occurrences, 5)
		})
	}
	f := setup(t, func(c *Config) { c.RetentionDays = 1 })
	job := f.create(`{"name":"x","intervalInSeconds":3600}`)
	f.update(job.Job.ID, paused)
	f.pausedFor(job.Job.ID, 20*365*24*time.Hour)
	f.update(job.Job.ID, `{"status":"ACTIVE"}`)
	require.LessOrEqual(t, f.skips(job.Job.ID)[0].Occurrences, 48, "older ones are not kept")
}

// What was backfilled of a pause was executed.
func TestPauseThatWasBackfilled(t *testing.T) {
	t.Parallel()
	f := setup(t)
	job := f.create(`{"name":"each minute","intervalInSeconds":60}`)
	f.update(job.Job.ID, paused)
	f.pausedFor(job.Job.ID, time.Hour+time.Second)
	now := time.Now()
	done, err := f.Backfill(t.Context(), me, job.Job.ID, now.Add(-59*time.Minute-30*time.Second), now.Add(-30*time.Minute))
	require.NoError(t, err)
	require.Positive(t, done.Runs)
	f.update(job.Job.ID, `{"status":"ACTIVE"}`)
	skips := f.skips(job.Job.ID)
	require.Len(t, skips, 1)
	require.Equal(t, 60, skips[0].Occurrences+done.Runs)
}

// A job whose last instant passes while it is paused has completed when it is resumed.
func TestResumeOfAJobWithNothingLeft(t *testing.T) {
	t.Parallel()
	for name, schedule := range map[string]string{
		"one instant": `"runAt":"%s"`,
		"an end":      `"intervalInSeconds":3600,"startAt":"%[1]s","endAt":"%[1]s"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			at := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
			job := f.create(`{"name":"once","deleteAfterCompletion":true,` + fmt.Sprintf(schedule, at) + `}`)
			f.update(job.Job.ID, paused)
			f.exec(`update jobs set paused_since = paused_since - interval '2 hours', run_at = run_at - interval '2 hours',
				start_at = start_at - interval '2 hours', end_at = end_at - interval '2 hours',
				anchor_at = anchor_at - interval '2 hours'`)
			resumed := f.update(job.Job.ID, `{"status":"ACTIVE"}`)
			require.Equal(t, db.JobStatusCOMPLETED, resumed.Job.Status)
			require.Nil(t, resumed.NextRunAt)
			require.Equal(t, []skip{{"JOB_PAUSED", "holidays", 1}}, f.skips(job.Job.ID))
			_, err := f.Get(t.Context(), me, job.Job.ID)
			require.ErrorIs(t, err, ErrNotFound, "it is deleted after its completion")
		})
	}
}

// While its run is in flight, a job completes when that ends, and not before.
func TestResumeOfAJobWhoseLastRunIsInFlight(t *testing.T) {
	t.Parallel()
	f := setup(t)
	at := time.Now().Add(-time.Second).UTC().Format(time.RFC3339Nano)
	job := f.create(`{"name":"once","runAt":"` + at + `"}`)
	f.claim()
	f.update(job.Job.ID, paused)
	resumed := f.update(job.Job.ID, `{"status":"ACTIVE"}`)
	require.Equal(t, db.JobStatusACTIVE, resumed.Job.Status)
	require.Equal(t, 1, f.count(`select count(*) from due where carries_schedule`))
	require.Empty(t, f.skips(job.Job.ID))
}

// A run that was claimed ahead of its instant is executed though its job is paused then.
func TestPauseOfARunThatIsClaimedAhead(t *testing.T) {
	t.Parallel()
	f := setup(t)
	job := f.create(`{"name":"each minute","intervalInSeconds":60}`)
	f.exec(`update due set lease_id = gen_random_uuid(), token = 1, attempt = 1, started_at = ready_at`)
	after := f.update(job.Job.ID, paused)
	require.Equal(t, *job.NextRunAt, *after.Job.PausedSince, "not before")
}
