package runs

import (
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/clock"
)

// completion returns the parameters that complete runs.
func completion(batch []*Ended) db.CompleteParams {
	n := len(batch)
	c := db.CompleteParams{
		JobIds: make([]uuid.UUID, n), ScheduledFors: make([]time.Time, n), Tokens: make([]int64, n), Revisions: make([]int32, n),
		Triggers: make([]string, n), RetryOfs: make([]time.Time, n), Attempts: make([]int16, n),
		StartedAts: make([]time.Time, n), FinishedAts: make([]time.Time, n), Statuses: make([]string, n), Reasons: make([]string, n),
		Errors: make([]string, n), Results: make([]string, n), ExecutedBys: make([]string, n), FailedAttempts: make([]string, n),
		Occurrences: make([]int32, n), Kept: make([]bool, n),
		NextFors: make([]time.Time, n), SkippedFors: make([]time.Time, n), SkippedCounts: make([]int32, n),
		FinalStatuses: make([]string, n), StatusReasons: make([]string, n), JobVersions: make([]int32, n),
	}
	for i, e := range batch {
		occurrences, skipped := 1, e.step.Skipped
		if e.status == db.RunStatusSKIPPED {
			// The run itself is the first of the skipped occurrences, and stands for all of them.
			occurrences, skipped = max(skipped, 1), 0
		}
		row := &e.Due
		c.JobIds[i], c.ScheduledFors[i], c.Tokens[i], c.Revisions[i] = row.JobID, row.ScheduledFor, row.Token, row.Revision
		c.Triggers[i], c.RetryOfs[i] = string(row.Trigger), clock.OrZero(row.RetryOf)
		c.Attempts[i], c.StartedAts[i], c.FinishedAts[i] = e.attempt, e.started, e.finished
		c.Statuses[i], c.Reasons[i], c.Errors[i] = string(e.status), string(e.reason), e.error
		c.Results[i], c.ExecutedBys[i], c.FailedAttempts[i] = string(e.result), e.executedBy, string(row.FailedAttempts)
		c.Occurrences[i] = int32(occurrences)
		c.Kept[i] = e.Job.RunHistory == db.RunHistoryALL || e.status != db.RunStatusSUCCEEDED
		c.NextFors[i], c.SkippedFors[i], c.SkippedCounts[i] = e.step.Next, e.step.SkippedFrom, int32(skipped)
		if e.attempt > 0 {
			c.JobVersions[i] = laterVersion(e.jobVersion)
		}
		c.FinalStatuses[i], c.StatusReasons[i] = string(e.step.FinalStatus), e.step.StatusReason
	}
	return c
}

// requeue returns the parameters that put runs back, to be tried again.
func requeue(batch []*Ended) (r db.RequeueFailedParams) {
	for _, e := range batch {
		r.JobIds = append(r.JobIds, e.Due.JobID)
		r.ScheduledFors = append(r.ScheduledFors, e.Due.ScheduledFor)
		r.Tokens = append(r.Tokens, e.Due.Token)
		r.ReadyAts = append(r.ReadyAts, e.retryAt)
		r.FailedAttempts = append(r.FailedAttempts, e.failedAttempt)
	}
	return r
}
