package runs

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/clock"
)

// completion returns the parameters that end runs.
func completion(batch []*Ended) db.CompleteParams {
	n := len(batch)
	c := db.CompleteParams{
		JobIds: make([]uuid.UUID, n), ScheduledFors: make([]time.Time, n), Tokens: make([]int64, n), Revisions: make([]int32, n),
		Triggers: make([]string, n), Attempts: make([]int16, n), StartedAts: make([]time.Time, n), FinishedAts: make([]time.Time, n),
		Statuses: make([]string, n), NextFors: make([]time.Time, n), FinalStatuses: make([]string, n), StatusReasons: make([]string, n),
	}
	for i, e := range batch {
		row := &e.Due
		c.JobIds[i], c.ScheduledFors[i], c.Tokens[i], c.Revisions[i] = row.JobID, row.ScheduledFor, row.Token, row.Revision
		c.Triggers[i], c.Attempts[i], c.StartedAts[i], c.FinishedAts[i] = string(row.Trigger), e.attempt, e.started, e.finished
		c.Statuses[i], c.NextFors[i] = string(e.status), e.step.Next
		c.FinalStatuses[i], c.StatusReasons[i] = string(e.step.FinalStatus), e.step.StatusReason
	}
	return c
}

// isRecorded reports whether the run is written down: its job may keep failures only.
func (e *Ended) isRecorded() bool {
	return !e.hasRun && (e.Job.RunHistory == db.RunHistoryALL || e.status != db.RunStatusSUCCEEDED)
}

// skippedBehindIt returns how many occurrences were skipped during the run. A run that is skipped
// itself is the first of them, and stands for all.
func (e *Ended) skippedBehindIt() int {
	if e.status == db.RunStatusSKIPPED {
		return 0
	}
	return e.step.Skipped
}

// occurrences returns how many occurrences the run stands for.
func (e *Ended) occurrences() int {
	if e.status != db.RunStatusSKIPPED {
		return 1
	}
	return max(e.step.Skipped, 1)
}

// records are what is written down of the runs that a completion has ended.
type records struct {
	runs     db.RecordRunsParams
	overlaps db.RecordOverlapsParams
	ends     db.AuditEndsParams
}

// recordsOf returns what is written down of a batch, of which a completion has ended these rows.
func recordsOf(batch []*Ended, rows []db.CompleteRow) (all records, err error) {
	runs := make(map[key]*Ended, len(batch))
	for _, e := range batch {
		runs[keyOf(e.Due.JobID, e.Due.ScheduledFor)] = e
	}
	hasEnded := map[uuid.UUID]bool{}
	for i := range rows {
		row := &rows[i]
		e := runs[keyOf(row.JobID, row.ScheduledFor)]
		if e.isRecorded() {
			if all.runs.JobIds == nil {
				all.runs = newRecords(len(rows))
			}
			all.addRun(e, row)
		}
		if n := e.skippedBehindIt(); n > 0 {
			o := &all.overlaps
			o.JobIds, o.ScheduledFors = append(o.JobIds, row.JobID), append(o.ScheduledFors, e.step.SkippedFrom)
			o.FinishedAts, o.Occurrences = append(o.FinishedAts, e.finished), append(o.Occurrences, int32(n))
		}
		if row.FinalStatus != "" && !hasEnded[row.JobID] { // several of the job's runs may have ended
			hasEnded[row.JobID] = true
			if err := all.addEnd(e, row); err != nil {
				return all, err
			}
		}
	}
	return all, nil
}

// newRecords returns parameters with room for n runs, so that adding them copies nothing.
func newRecords(n int) db.RecordRunsParams {
	return db.RecordRunsParams{
		JobIds: make([]uuid.UUID, 0, n), ScheduledFors: make([]time.Time, 0, n), Triggers: make([]string, 0, n), RetryOfs: make([]time.Time, 0, n),
		Attempts: make([]int16, 0, n), StartedAts: make([]time.Time, 0, n), FinishedAts: make([]time.Time, 0, n), Statuses: make([]string, 0, n),
		Reasons: make([]string, 0, n), Errors: make([]string, 0, n), Results: make([]string, 0, n), ExecutedBys: make([]string, 0, n),
		FailedAttempts: make([]string, 0, n), Occurrences: make([]int32, 0, n), JobVersions: make([]int32, 0, n),
		CancelRequestedAts: make([]time.Time, 0, n), Payloads: make([]string, 0, n), CausedBys: make([]uuid.UUID, 0, n),
	}
}

// addRun adds a run.
func (all *records) addRun(e *Ended, row *db.CompleteRow) {
	r := &all.runs
	version := int32(0)
	if e.attempt > 0 {
		version = laterVersion(e.jobVersion)
	}
	r.JobIds, r.ScheduledFors = append(r.JobIds, row.JobID), append(r.ScheduledFors, row.ScheduledFor)
	r.Triggers, r.RetryOfs = append(r.Triggers, string(e.Due.Trigger)), append(r.RetryOfs, clock.OrZero(e.Due.RetryOf))
	r.Attempts, r.StartedAts, r.FinishedAts = append(r.Attempts, e.attempt), append(r.StartedAts, e.started), append(r.FinishedAts, e.finished)
	r.Statuses, r.Reasons, r.Errors = append(r.Statuses, string(e.status)), append(r.Reasons, string(e.reason)), append(r.Errors, e.error)
	r.Results, r.ExecutedBys = append(r.Results, string(e.result)), append(r.ExecutedBys, e.executedBy)
	r.FailedAttempts, r.Occurrences = append(r.FailedAttempts, string(e.Due.FailedAttempts)), append(r.Occurrences, int32(e.occurrences()))
	r.JobVersions, r.CancelRequestedAts = append(r.JobVersions, version), append(r.CancelRequestedAts, row.CancelRequestedAt)
	r.Payloads, r.CausedBys = append(r.Payloads, row.Payload), append(r.CausedBys, row.CausedBy)
}

// addEnd adds that a job was paused, or completed.
func (all *records) addEnd(e *Ended, row *db.CompleteRow) error {
	operation, result := "completeJob", map[string]any{"deleted": row.IsDeleted}
	if row.FinalStatus == string(db.JobStatusPAUSED) {
		operation, result = "pauseJob", map[string]any{"statusReason": row.StatusReason}
	}
	encoded, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("encode what became of a job: %w", err)
	}
	a := &all.ends
	a.Namespaces, a.Operations = append(a.Namespaces, e.Job.Namespace), append(a.Operations, operation)
	a.JobIds, a.Results = append(a.JobIds, row.JobID), append(a.Results, string(encoded))
	return nil
}

// store writes them down.
func (all *records) store(ctx context.Context, q *db.Queries) error {
	if len(all.runs.JobIds) > 0 {
		if err := q.RecordRuns(ctx, all.runs); err != nil {
			return err
		}
	}
	if len(all.overlaps.JobIds) > 0 {
		if err := q.RecordOverlaps(ctx, all.overlaps); err != nil {
			return err
		}
	}
	if len(all.ends.JobIds) > 0 {
		return q.AuditEnds(ctx, all.ends)
	}
	return nil
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
