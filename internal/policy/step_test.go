package policy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/policy"
	"punctual/internal/schedule"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func minutely() schedule.Schedule {
	return schedule.Schedule{Grid: schedule.NewInterval(noon, 60)}
}

func at(minutes float64) time.Time { return noon.Add(time.Duration(minutes * float64(time.Minute))) }

func TestAfterDoesNotDrift(t *testing.T) {
	t.Parallel()
	step := policy.After(&db.Job{}, minutely(), policy.Run{Occurrence: at(1), Started: at(1.5), Finished: at(1.6)})
	require.Equal(t, policy.Step{Next: at(2)}, step)
}

func TestAfterALateRunNothingIsSkipped(t *testing.T) {
	t.Parallel()
	job := db.Job{OverlapPolicy: db.OverlapPolicySKIP}
	step := policy.After(&job, minutely(), policy.Run{Occurrence: at(1), Started: at(4.9), Finished: at(5.1)})
	require.Equal(t, policy.Step{Next: at(2)}, step, "what came due before it started is late, not skipped")
}

func TestAfterALongRun(t *testing.T) {
	t.Parallel()
	run := policy.Run{Occurrence: at(1), Started: at(1), Finished: at(3.5)}
	for overlap, want := range map[db.OverlapPolicy]policy.Step{
		db.OverlapPolicySKIP:      {Next: at(4), Skipped: 2, SkippedFrom: at(2)},
		db.OverlapPolicyBUFFERONE: {Next: at(3), Skipped: 1, SkippedFrom: at(2)},
		db.OverlapPolicyALLOWALL:  {Next: at(2)},
	} {
		require.Equal(t, want, policy.After(&db.Job{OverlapPolicy: overlap}, minutely(), run), overlap)
	}
}

func TestAfterTheLastRunTheJobCompletes(t *testing.T) {
	t.Parallel()
	s := minutely()
	s.End = at(1)
	require.Equal(t, policy.Step{FinalStatus: db.JobStatusCOMPLETED},
		policy.After(&db.Job{}, s, policy.Run{Occurrence: at(1), Started: at(1), Finished: at(1)}))
	require.Equal(t, policy.Step{FinalStatus: db.JobStatusCOMPLETED},
		policy.After(&db.Job{MaxRuns: new(int64(3))}, minutely(), policy.Run{Occurrence: at(1), Started: at(1), Finished: at(1), Count: 3}))
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	job := db.Job{MinBackoffSeconds: 5, MaxBackoffSeconds: 60}
	for attempt, most := range map[int]time.Duration{1: 10 * time.Second, 2: 20 * time.Second, 3: 40 * time.Second, 4: time.Minute, 100: time.Minute} {
		for range 100 {
			wait := policy.Backoff(&job, attempt)
			require.GreaterOrEqual(t, wait, 5*time.Second, "after attempt %d", attempt)
			require.LessOrEqual(t, wait, most, "after attempt %d", attempt)
		}
	}
	require.Zero(t, policy.Backoff(&db.Job{}, 1), "no backoff at all")
	grows := db.Job{MaxBackoffSeconds: 60}
	for attempt, most := range map[int]time.Duration{1: 2 * time.Second, 3: 8 * time.Second, 6: time.Minute, 100: time.Minute} {
		longest := time.Duration(0)
		for range 200 {
			longest = max(longest, policy.Backoff(&grows, attempt))
		}
		require.LessOrEqual(t, longest, most, "a minimum of 0, after attempt %d", attempt)
		require.Greater(t, longest, most/2, "a minimum of 0 grows, after attempt %d", attempt)
	}
}

func TestScheduleOfAnUnknownZoneIsAnError(t *testing.T) {
	t.Parallel()
	_, err := policy.Schedule(&db.Job{Cron: new("* * * * *"), TimeZone: new("Atlantis/Capital")})
	require.ErrorContains(t, err, "time zone")
}

// The run that waits comes next, and what was due until then is skipped.
func TestAfterARunComesTheOneThatWaits(t *testing.T) {
	t.Parallel()
	run := policy.Run{Occurrence: at(1), Started: at(1), Finished: at(3.6), BufferedFor: at(2.5)}
	for name, c := range map[string]struct {
		job  db.Job
		want policy.Step
	}{
		"no overlap":                {db.Job{OverlapPolicy: db.OverlapPolicySKIP}, policy.Step{Next: at(2.5), Skipped: 2, SkippedFrom: at(2)}},
		"may overlap":               {db.Job{OverlapPolicy: db.OverlapPolicyALLOWALL}, policy.Step{Next: at(2.5)}},
		"before the job completes":  {db.Job{MaxRuns: new(int64(1))}, policy.Step{Next: at(2.5), Skipped: 2, SkippedFrom: at(2)}},
		"before the job is to rest": {db.Job{PauseAfterFailures: new(int16(1))}, policy.Step{Next: at(2.5), Skipped: 2, SkippedFrom: at(2)}},
	} {
		run.Failed = c.job.PauseAfterFailures != nil
		require.Equal(t, c.want, policy.After(&c.job, minutely(), run), name)
	}
	run.BufferedFor = at(1.5)
	run.Finished = at(1.6)
	require.Equal(t, policy.Step{Next: at(1.5)}, policy.After(&db.Job{}, minutely(), run), "nothing was due until then")
	require.Equal(t, policy.Step{Next: at(3.5), Skipped: 3, SkippedFrom: at(1)}, policy.Yield(minutely(), at(1), at(3.5)), "a missed one, too")
}

// A schedule that was changed while a run was in flight counts from then on.
func TestAfterAChangeOfTheSchedule(t *testing.T) {
	t.Parallel()
	job := db.Job{OverlapPolicy: db.OverlapPolicySKIP}
	run := policy.Run{Occurrence: at(1), Started: at(1), Finished: at(3.2), RevisedAt: at(3.1)}
	require.Equal(t, policy.Step{Next: at(4)}, policy.After(&job, minutely(), run), "what it says of the time before was not missed")
	run.Finished = at(5.5)
	require.Equal(t, policy.Step{Next: at(6), Skipped: 2, SkippedFrom: at(4)}, policy.After(&job, minutely(), run), "what came due since was")
	run.BufferedFor = at(4.5)
	require.Equal(t, policy.Step{Next: at(4.5), Skipped: 2, SkippedFrom: at(4)}, policy.After(&job, minutely(), run))
	run.RevisedAt = at(0.5)
	run.Finished, run.BufferedFor = at(1.5), time.Time{}
	require.Equal(t, policy.Step{Next: at(2)}, policy.After(&job, minutely(), run), "a change before the occurrence is none")
}
