package jobs

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// changeRunAt makes a job run once, at an instant.
func (f fixture) changeRunAt(job View, at time.Time) (View, error) {
	f.t.Helper()
	return f.Update(f.t.Context(), me, job.Job.ID, Change{RunAt: Given(&at), IntervalSeconds: Given[*int64](nil)})
}

// No occurrence has two runs, so an edit cannot bring one back that has just been executed.
func TestEditToAnInstantThatHasARun(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.exec(`select create_runs_partition(d) from unnest(array[current_date - 1, current_date]) d`)
	at := time.Now().Add(-10 * time.Second)
	job, err := f.Create(t.Context(), me, Change{Name: Given("once"), RunAt: Given(&at), IntervalSeconds: Given[*int64](nil)})
	require.NoError(t, err)
	f.exec(`with ended as (delete from due returning *)
		insert into runs (job_id, scheduled_for, started_at, finished_at, status, attempt, occurrences)
		select job_id, scheduled_for, now(), now(), 'SUCCEEDED', 1, 1 from ended`)
	_, err = f.changeRunAt(job, at.Add(time.Hour))
	require.NoError(t, err)

	_, err = f.changeRunAt(job, at)
	requireInvalid(t, err, map[string]Code{"runAt": NeverDue})
	_, err = f.changeRunAt(job, at.Add(time.Millisecond))
	require.NoError(t, err, "no run has this instant")
}

// An instant that has just passed is executed after the run in flight, or refused.
func TestEditToAnInstantThatHasJustPassedDuringARun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		claimedFor time.Duration
		isExecuted bool
	}{
		"after the run's own":  {-20 * time.Second, true},
		"before the run's own": {-2 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			job := f.create(`{"name":"each minute","intervalInSeconds":60}`)
			f.exec(`update due set scheduled_for = now() + $1::interval, ready_at = now() + $1::interval`, c.claimedFor)
			f.claim()
			at := time.Now().Add(-10 * time.Second).Truncate(time.Microsecond)
			after, err := f.changeRunAt(job, at)
			if !c.isExecuted {
				requireInvalid(t, err, map[string]Code{"runAt": NeverDue})
				return
			}
			require.NoError(t, err)
			require.NotNil(t, after.NextRunAt)
			require.True(t, at.Equal(*after.NextRunAt))
		})
	}
}
