package runs

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/executor"
	"punctual/internal/policy"
)

func TestNextStep(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*db.Claimed, *db.Job)
		end    float64 // in minutes after noon; it begins at 3.4
		err    error
		want   policy.Step
	}{
		"on the schedule": {end: 3.5, want: policy.Step{Next: at(2)}},
		"off the schedule": {
			change: func(row *db.Claimed, _ *db.Job) { row.CarriesSchedule = false }, end: 3.5,
		},
		"off the schedule, and another run waits": {
			change: func(row *db.Claimed, _ *db.Job) { row.CarriesSchedule, row.BufferedFor = false, new(at(3.45)) },
			end:    3.5, want: policy.Step{Next: at(3.45)},
		},
		"the last of the job's runs": {
			change: func(row *db.Claimed, job *db.Job) { job.MaxRuns, job.RunCount, row.RunCount = new(int64(3)), 1, 1 },
			end:    3.5, want: policy.Step{FinalStatus: db.JobStatusCOMPLETED},
		},
		"the last but one": {
			change: func(row *db.Claimed, job *db.Job) { job.MaxRuns, job.RunCount, row.RunCount = new(int64(4)), 1, 1 },
			end:    3.5, want: policy.Step{Next: at(2)},
		},
		"too many failures in a row": {
			change: func(row *db.Claimed, job *db.Job) { job.PauseAfterFailures, row.Failures = new(int16(2)), 1 },
			end:    3.5, err: &executor.Failure{Err: errNoLuck, IsFinal: true},
			want: policy.Step{FinalStatus: db.JobStatusPAUSED, StatusReason: policy.FailedInARow(2)},
		},
		"took longer than to the next occurrence": {
			end: 5.5, want: policy.Step{Next: at(6), Skipped: 4, SkippedFrom: at(2)},
		},
		"tried again since it started": {
			change: func(row *db.Claimed, _ *db.Job) {
				row.Attempt, row.FailedAttempts = 2, failedBefore(t, failedAttempt{Error: "no luck"})
			},
			end: 3.5, want: policy.Step{Next: at(4), Skipped: 2, SkippedFrom: at(2)},
		},
		"not executed since it was lost": {
			change: func(row *db.Claimed, _ *db.Job) {
				row.Attempt, row.FailedAttempts = 2, failedBefore(t, failedAttempt{Reason: db.RunReasonLEASEEXPIRED})
			},
			end: 3.5, want: policy.Step{Next: at(2)},
		},
	} {
		attempt := begin(t, c.change)
		attempt.Begin(at(3.4))
		ended := attempt.End(at(c.end), nil, c.err)
		require.Equal(t, c.want, ended.step, name)
	}
}

func TestARunWithoutAnAttemptDoesNotCount(t *testing.T) {
	t.Parallel()
	_, ended := newClaimed(newRow(func(row *db.Claimed, job *db.Job) {
		job.MaxRuns, row.CancelReason = new(int64(1)), new(db.RunReasonREQUESTED)
	})).Prepare(at(1))
	require.Equal(t, policy.Step{Next: at(2)}, ended.step)
}

func TestNextQueue(t *testing.T) {
	t.Parallel()
	before, after := new("before"), new("after")
	for name, c := range map[string]struct {
		revisedAt *time.Time
		retryAt   time.Time
		want      *string
	}{
		"not edited":              {want: before},
		"edited":                  {revisedAt: new(at(1)), want: after},
		"edited, and tried again": {revisedAt: new(at(1)), retryAt: at(2), want: before},
	} {
		ended := (*Ended)(newClaimed(newRow(func(row *db.Claimed, job *db.Job) {
			row.Queue, job.FirstQueue, row.RevisedAt = before, after, c.revisedAt
		})))
		ended.retryAt = c.retryAt
		require.Equal(t, c.want, ended.nextQueue(), name)
	}
}

func TestRevise(t *testing.T) {
	t.Parallel()
	paused := policy.Step{FinalStatus: db.JobStatusPAUSED, StatusReason: "gone"}
	gone := &executor.Failure{Err: errNoLuck, PauseReason: "gone"}
	missed := policy.Step{Next: at(3), Skipped: 2, SkippedFrom: at(1)}
	halfMinutes := func(now *db.ListRevisedRow) { now.Job.IntervalSeconds, now.RevisedAt = new(int64(30)), new(at(1.2)) }
	for name, c := range map[string]struct {
		err    error
		before func(*Ended)
		change func(*db.ListRevisedRow) // what has become of the row and the job
		want   policy.Step
	}{
		"nothing that counts":        {change: func(*db.ListRevisedRow) {}, want: policy.Step{Next: at(2)}},
		"the schedule was taken off": {change: func(now *db.ListRevisedRow) { now.CarriesSchedule = false }},
		"the schedule was put back": {
			before: func(e *Ended) { e.isDetached, e.step = true, policy.Step{} },
			change: func(*db.ListRevisedRow) {}, want: policy.Step{Next: at(2)},
		},
		"the job has another schedule": {change: halfMinutes, want: policy.Step{Next: at(1.5)}},
		"the job has had its runs": {
			change: func(now *db.ListRevisedRow) { now.Job.MaxRuns, now.RunCount = new(int64(3)), 2 },
			want:   policy.Step{FinalStatus: db.JobStatusCOMPLETED},
		},
		"a run waits for this one": {
			change: func(now *db.ListRevisedRow) { now.BufferedFor = new(at(1.1)) }, want: policy.Step{Next: at(1.1)},
		},
		"the target has decided": {
			err: gone, change: halfMinutes, want: paused,
		},
		"the target has decided, and a run waits": {
			err:    gone,
			change: func(now *db.ListRevisedRow) { now.BufferedFor = new(at(1.1)) }, want: policy.Step{Next: at(1.1)},
		},
		"missed": {
			before: func(e *Ended) { e.status, e.step = db.RunStatusSKIPPED, missed },
			change: func(*db.ListRevisedRow) {}, want: missed,
		},
		"missed, and the job has another schedule": {
			before: func(e *Ended) { e.status, e.step = db.RunStatusSKIPPED, missed }, change: halfMinutes,
			want: policy.Step{Next: at(1.5), Skipped: 2, SkippedFrom: at(1)},
		},
	} {
		ended := begin(t, nil).End(at(1.2), nil, c.err)
		if c.before != nil {
			c.before(ended)
		}
		now := db.ListRevisedRow{CarriesSchedule: true, Revision: 7, Job: ended.Job}
		c.change(&now)
		ended.revise(&now)
		require.Equal(t, c.want, ended.step, name)
		require.EqualValues(t, 7, ended.Due.Revision, name)
	}
}
