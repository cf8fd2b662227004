package runs

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"punctual/gen/db"
	"punctual/internal/clock"
	"punctual/internal/executor"
	"punctual/internal/instant"
	"punctual/internal/policy"
	"punctual/internal/sanitize"
)

// ErrDeadline is the error of an attempt that took longer than its job allows.
var ErrDeadline = errors.New("attempt deadline exceeded")

// Canceled is the error of an attempt whose run was canceled.
type Canceled struct{ Reason db.RunReason }

func (c Canceled) Error() string { return "canceled: " + string(c.Reason) }

// maxErrorLength bounds, in bytes, what is kept of an error's text.
const maxErrorLength = 4096

// End returns how the attempt ended, now. The error is as of executor.Executor, or Canceled, or one
// that wraps ErrDeadline; nil if the attempt succeeded.
func (a *Attempt) End(now time.Time, result *executor.Result, err error) *Ended {
	a.finished, a.isMade = clock.Later(now, a.began), true
	a.result = encodeResult(result)
	if a.Due.AwaitsWorker {
		a.executedBy = a.Holder
	}
	canceled, isCanceled := errors.AsType[Canceled](err)
	switch {
	case err == nil:
		a.status = db.RunStatusSUCCEEDED
	case isCanceled:
		a.status, a.reason = db.RunStatusCANCELED, canceled.Reason
	default:
		a.fail(err)
	}
	if a.retryAt.IsZero() {
		a.goOn()
	}
	return (*Ended)(a)
}

func (a *Attempt) fail(err error) {
	a.status, a.error, a.executedBy = db.RunStatusFAILED, errorText(err.Error()), a.Holder
	if errors.Is(err, ErrDeadline) {
		a.reason = db.RunReasonDEADLINEEXCEEDED
	}
	failure, isFailure := errors.AsType[*executor.Failure](err)
	if !isFailure {
		failure = &executor.Failure{}
	}
	if failure.PauseReason != "" {
		a.step, a.targetDecided = policy.Step{FinalStatus: db.JobStatusPAUSED, StatusReason: failure.PauseReason}, true
		return
	}
	if failure.IsFinal || a.Due.Attempt >= a.Job.MaxAttempts || a.Job.DeletedAt != nil {
		return
	}
	a.retryAt = a.finished.Add(max(policy.Backoff(&a.Job, int(a.Due.Attempt)), failure.RetryAfter))
	a.failedAttempt, _ = json.Marshal(failedAttempt{ // numbers and valid text: cannot fail
		Attempt: a.Due.Attempt, Error: a.error, Result: a.result,
		StartedAt: instant.Time{Time: a.began}, FinishedAt: instant.Time{Time: a.finished},
		Reason: a.reason, ExecutedBy: a.executedBy, JobVersion: laterVersion(a.jobVersion),
	})
}

// failUnbegun fails a run for which no further attempt is begun.
func (r *run) failUnbegun(reason db.RunReason, text string) {
	r.status, r.reason, r.error = db.RunStatusFAILED, reason, errorText(text)
	r.attempt = max(r.attempt-1, 1) // not the one that the claim has counted
}

// endAsLastAttempt ends a run that is not tried again as its last attempt ended, which is among its
// failed attempts. An empty reason stands for the reason of that attempt.
func (r *run) endAsLastAttempt(reason db.RunReason) {
	var before []json.RawMessage
	var last failedAttempt
	if json.Unmarshal(r.Due.FailedAttempts, &before) != nil || len(before) == 0 ||
		json.Unmarshal(before[len(before)-1], &last) != nil {
		r.failUnbegun(cmp.Or(reason, db.RunReasonLEASEEXPIRED), "the last attempt was lost")
		return
	}
	r.failUnbegun(cmp.Or(reason, last.Reason), last.Error)
	if last.Reason != db.RunReasonLEASEEXPIRED { // of a lost attempt the version is not known
		r.jobVersion = max(last.JobVersion, 1)
	}
	if r.executedBy = last.ExecutedBy; string(last.Result) != "null" {
		r.result = last.Result
	}
	if r.Due.FailedAttempts = nil; len(before) > 1 {
		r.Due.FailedAttempts, _ = json.Marshal(before[:len(before)-1]) // it was valid: cannot fail
	}
}

// failedAttempt is how an attempt that was followed by another is kept. The function
// add_lost_attempt of the schema makes the same of an attempt that was lost.
type failedAttempt struct {
	Attempt    int16           `json:"attempt"`
	StartedAt  instant.Time    `json:"startedAt"`
	FinishedAt instant.Time    `json:"finishedAt"`
	Error      string          `json:"error"`
	Result     json.RawMessage `json:"result"`
	Reason     db.RunReason    `json:"reason,omitempty"`
	ExecutedBy string          `json:"executedBy,omitempty"`
	// JobVersion is the version of the job that it executed. Left out: the first.
	JobVersion int32 `json:"jobVersion,omitempty"`
}

// laterVersion returns the version of a job, or 0 for the first.
func laterVersion(version int32) int32 {
	if version == 1 {
		return 0
	}
	return version
}

// hasFailed reports whether an attempt has failed. One that was lost has not: nobody executed the
// run between the death of its instance and the next attempt.
func hasFailed(failedAttempts []byte) bool {
	var all []struct{ Reason db.RunReason }
	return failedAttempts != nil && json.Unmarshal(failedAttempts, &all) == nil &&
		slices.ContainsFunc(all, func(a struct{ Reason db.RunReason }) bool { return a.Reason != db.RunReasonLEASEEXPIRED })
}

// encodeResult returns a result as the history keeps it, or nil if there is none.
func encodeResult(r *executor.Result) []byte {
	if r == nil {
		return nil
	}
	kept := struct {
		StatusCode           *int   `json:"statusCode"`
		DurationMilliseconds int64  `json:"durationMilliseconds"`
		Output               string `json:"output"`
		OutputIsTruncated    bool   `json:"outputIsTruncated"`
	}{nil, r.Duration.Milliseconds(), r.Output, r.OutputIsTruncated}
	if r.StatusCode != 0 {
		kept.StatusCode = &r.StatusCode
	}
	raw, _ := json.Marshal(kept) // numbers and valid text: cannot fail
	return raw
}

// errorText returns an error's text as the history keeps it. It is never empty.
func errorText(text string) string {
	kept, _ := sanitize.Text(text, maxErrorLength)
	return cmp.Or(kept, "failed without saying why")
}
