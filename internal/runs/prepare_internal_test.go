package runs

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/policy"
)

func TestPrepareEndsARun(t *testing.T) {
	t.Parallel()
	lost := failedAttempt{Attempt: 1, Error: "lost", Reason: db.RunReasonLEASEEXPIRED}
	late := failedAttempt{
		Attempt: 3, Error: "too late", Reason: db.RunReasonDEADLINEEXCEEDED, ExecutedBy: "worker",
		Result: json.RawMessage(`{"output":"a"}`),
	}
	next := policy.Step{Next: at(2)}
	for name, c := range map[string]struct {
		change func(*db.Claimed, *db.Job)
		now    time.Time
		want   outcome
		before []byte // the failed attempts before the last one
		result string
	}{
		"canceled before its first attempt": {
			change: func(row *db.Claimed, _ *db.Job) { row.CancelReason = new(db.RunReasonREQUESTED) },
			want:   outcome{status: db.RunStatusCANCELED, reason: db.RunReasonREQUESTED, step: next},
		},
		"canceled when no attempt is left": {
			change: func(row *db.Claimed, _ *db.Job) { row.CancelReason, row.Attempt = new(db.RunReasonOVERLAP), 4 },
			want:   outcome{status: db.RunStatusCANCELED, reason: db.RunReasonOVERLAP, attempt: 3, step: next},
		},
		"no attempt is left": {
			change: func(row *db.Claimed, _ *db.Job) {
				row.Attempt, row.FailedAttempts = 4, failedBefore(t, lost, late)
			},
			want: outcome{
				status: db.RunStatusFAILED, reason: db.RunReasonDEADLINEEXCEEDED, attempt: 3, error: "too late",
				executedBy: "worker", step: next,
			},
			before: failedBefore(t, lost), result: `{"output":"a"}`,
		},
		"no attempt is left, and none is known": {
			change: func(row *db.Claimed, _ *db.Job) { row.Attempt = 4 },
			want: outcome{
				status: db.RunStatusFAILED, reason: db.RunReasonLEASEEXPIRED, attempt: 3,
				error: "the last attempt was lost", step: next,
			},
		},
		"the job was deleted before the first attempt": {
			change: func(row *db.Claimed, job *db.Job) { job.DeletedAt, row.CarriesSchedule = &noon, false },
			want:   outcome{status: db.RunStatusSKIPPED, reason: db.RunReasonJOBDELETED},
		},
		"the job was deleted after an attempt": {
			change: func(row *db.Claimed, job *db.Job) {
				job.DeletedAt, row.CarriesSchedule = &noon, false
				row.Attempt, row.FailedAttempts = 2, failedBefore(t, lost)
			},
			want: outcome{status: db.RunStatusFAILED, reason: db.RunReasonJOBDELETED, attempt: 1, error: "lost"},
		},
		"missed": {
			now: at(3.5),
			want: outcome{
				status: db.RunStatusSKIPPED, reason: db.RunReasonMISFIRE,
				step: policy.Step{Next: at(3), Skipped: 2, SkippedFrom: at(1)},
			},
		},
		"missed, and another run waits for its end": {
			change: func(row *db.Claimed, _ *db.Job) { row.BufferedFor = new(at(3.2)) },
			now:    at(3.5),
			want: outcome{
				status: db.RunStatusSKIPPED, reason: db.RunReasonMISFIRE,
				step: policy.Step{Next: at(3.2), Skipped: 3, SkippedFrom: at(1)},
			},
		},
	} {
		now := c.now
		if now.IsZero() {
			now = at(1)
		}
		attempt, ended := newClaimed(newRow(c.change)).Prepare(now)
		require.Nil(t, attempt, name)
		require.Equal(t, c.want, outcomeOf(ended), name)
		require.Equal(t, now, ended.finished, name)
		require.True(t, ended.retryAt.IsZero(), name)
		if c.want.attempt > 0 {
			require.Equal(t, string(c.before), string(ended.Due.FailedAttempts), name)
		}
		require.Equal(t, c.result, string(ended.result), name)
	}
}

func TestPrepareMakesAnAttempt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*db.Claimed, *db.Job)
		now    time.Time
	}{
		"on time":          {nil, at(1)},
		"a little late":    {nil, at(1.1)},
		"the last attempt": {func(row *db.Claimed, _ *db.Job) { row.Attempt = 3 }, at(10)},
		"asked for":        {func(row *db.Claimed, _ *db.Job) { row.Trigger = db.RunTriggerMANUAL }, at(10)},
		"off the schedule": {func(row *db.Claimed, _ *db.Job) { row.CarriesSchedule = false }, at(10)},
		"given back by a worker": {
			func(row *db.Claimed, _ *db.Job) { row.ReadyAt = at(1.5) }, at(10),
		},
		"for its own sake, however late": {
			func(_ *db.Claimed, job *db.Job) { job.MisfirePolicy = db.MisfirePolicyFIREALL }, at(10),
		},
	} {
		attempt, ended := newClaimed(newRow(c.change)).Prepare(c.now)
		require.NotNil(t, attempt, name)
		require.Nil(t, ended, name)
	}
}

func TestPreparePausesAJobWhoseScheduleCannotBeComputed(t *testing.T) {
	t.Parallel()
	_, ended := newClaimed(newRow(func(_ *db.Claimed, job *db.Job) {
		job.IntervalSeconds, job.Cron, job.TimeZone = nil, new("0 0 * * *"), new("No/Where")
	})).Prepare(at(1))
	require.Equal(t, db.RunStatusFAILED, ended.status)
	require.EqualValues(t, 1, ended.attempt)
	require.Contains(t, ended.error, "No/Where")
	require.Equal(t, policy.Step{
		FinalStatus: db.JobStatusPAUSED, StatusReason: "its schedule cannot be computed",
	}, ended.step)
}

// The database's clock may be read again before the instant at which the claim may start.
func TestNothingBeginsOrEndsBeforeTheClaimMayStart(t *testing.T) {
	t.Parallel()
	canceled := func(row *db.Claimed, _ *db.Job) { row.CancelReason = new(db.RunReasonREQUESTED) }
	_, ended := newClaimed(newRow(canceled)).Prepare(at(0.9))
	require.Equal(t, at(1), ended.finished)

	attempt := begin(t, nil)
	attempt.Begin(at(0.9))
	require.Equal(t, at(1), attempt.started)
	require.Equal(t, at(1), attempt.began)
	require.Equal(t, at(1), attempt.End(at(0.9), nil, nil).finished)

	attempt.Begin(at(1.1))
	require.Equal(t, at(1.1), attempt.started, "the first attempt starts the run")

	second := begin(t, func(row *db.Claimed, _ *db.Job) { row.Attempt = 2 })
	second.Begin(at(1.1))
	require.Equal(t, at(1), second.started, "a later attempt does not")
	require.Equal(t, at(1.1), second.began)

	require.Equal(t, at(1), Resume(newRow(nil), at(0.9), 1).began)
	require.Equal(t, at(1.1), Resume(newRow(nil), at(1.1), 1).began)
}
