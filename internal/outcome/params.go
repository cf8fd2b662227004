package outcome

import (
	"github.com/google/uuid"

	"punctual/gen/db"
)

// completion lays runs that are over out for the statement.
func completion(batch []*Outcome) (c db.CompleteParams) {
	c.JobIds = make([]uuid.UUID, 0, len(batch))
	for _, o := range batch {
		occurrences, passedFor, passed := 1, o.step.PassedFrom, o.step.Passed
		if o.status == db.RunStatusSKIPPED {
			// The run itself is the first of what was passed over, and stands for all.
			occurrences, passed = max(passed, 1), 0
		}
		c.JobIds = append(c.JobIds, o.Row.JobID)
		c.ScheduledFors = append(c.ScheduledFors, o.Row.ScheduledFor)
		c.Tokens = append(c.Tokens, o.Row.Token)
		c.Revisions = append(c.Revisions, o.Row.Revision)
		c.Triggers = append(c.Triggers, string(o.Row.Trigger))
		c.RetryOfs = append(c.RetryOfs, orZero(o.Row.RetryOf))
		c.Attempts = append(c.Attempts, o.attempt)
		c.StartedAts = append(c.StartedAts, o.started)
		c.FinishedAts = append(c.FinishedAts, o.finished)
		c.Statuses = append(c.Statuses, string(o.status))
		c.Reasons = append(c.Reasons, string(o.reason))
		c.Errors = append(c.Errors, o.error)
		c.Results = append(c.Results, string(o.result))
		c.FailedAttempts = append(c.FailedAttempts, string(o.Row.FailedAttempts))
		c.Occurrences = append(c.Occurrences, int32(occurrences))
		c.Kept = append(c.Kept, o.Row.Job.RunHistory == db.RunHistoryALL || o.status != db.RunStatusSUCCEEDED)
		c.NextFors = append(c.NextFors, o.step.Next)
		c.PassedFors = append(c.PassedFors, passedFor)
		c.PassedCounts = append(c.PassedCounts, int32(passed))
		c.RestStatuses = append(c.RestStatuses, string(o.step.Rest))
		c.RestReasons = append(c.RestReasons, o.step.Reason)
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
