package runs

import (
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/clock"
)

// completion lays runs that are over out for the statement.
func completion(batch []*Outcome) db.CompleteParams {
	n := len(batch)
	c := db.CompleteParams{
		JobIds: make([]uuid.UUID, n), ScheduledFors: make([]time.Time, n), Tokens: make([]int64, n), Revisions: make([]int32, n),
		Triggers: make([]string, n), RetryOfs: make([]time.Time, n), Attempts: make([]int16, n),
		StartedAts: make([]time.Time, n), FinishedAts: make([]time.Time, n), Statuses: make([]string, n), Reasons: make([]string, n),
		Errors: make([]string, n), Results: make([]string, n), FailedAttempts: make([]string, n),
		Occurrences: make([]int32, n), Kept: make([]bool, n),
		NextFors: make([]time.Time, n), PassedFors: make([]time.Time, n), PassedCounts: make([]int32, n),
		RestStatuses: make([]string, n), RestReasons: make([]string, n),
	}
	for i, o := range batch {
		occurrences, passed := 1, o.step.Skipped
		if o.status == db.RunStatusSKIPPED {
			// The run itself is the first of what was passed over, and stands for all.
			occurrences, passed = max(passed, 1), 0
		}
		row := &o.Row
		c.JobIds[i], c.ScheduledFors[i], c.Tokens[i], c.Revisions[i] = row.JobID, row.ScheduledFor, row.Token, row.Revision
		c.Triggers[i], c.RetryOfs[i] = string(row.Trigger), clock.OrZero(row.RetryOf)
		c.Attempts[i], c.StartedAts[i], c.FinishedAts[i] = o.attempt, o.started, o.finished
		c.Statuses[i], c.Reasons[i], c.Errors[i] = string(o.status), string(o.reason), o.error
		c.Results[i], c.FailedAttempts[i] = string(o.result), string(row.FailedAttempts)
		c.Occurrences[i] = int32(occurrences)
		c.Kept[i] = row.Job.RunHistory == db.RunHistoryALL || o.status != db.RunStatusSUCCEEDED
		c.NextFors[i], c.PassedFors[i], c.PassedCounts[i] = o.step.Next, o.step.SkippedFrom, int32(passed)
		c.RestStatuses[i], c.RestReasons[i] = string(o.step.FinalStatus), o.step.StatusReason
	}
	return c
}

// retry lays attempts that are to be repeated out for the statement.
func retry(batch []*Outcome) (r db.RetryParams) {
	for _, o := range batch {
		r.JobIds = append(r.JobIds, o.Row.JobID)
		r.ScheduledFors = append(r.ScheduledFors, o.Row.ScheduledFor)
		r.Tokens = append(r.Tokens, o.Row.Token)
		r.ReadyAts = append(r.ReadyAts, o.retryAt)
		r.FailedAttempts = append(r.FailedAttempts, o.failed)
	}
	return r
}
