// Package runs says how a claimed run ends and what comes next for its job, and stores that. Who executes runs, the poller
// itself or workers by way of package broker, does it through here, so that both mean the same.
package runs

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/clock"
	"punctual/internal/executor"
	"punctual/internal/instant"
	"punctual/internal/policy"
	"punctual/internal/runid"
	"punctual/internal/sanitize"
	"punctual/internal/schedule"
)

// ErrDeadline is the error of an attempt that took longer than its job allows.
var ErrDeadline = errors.New("attempt deadline exceeded")

// Canceled is the error of an attempt whose run was made to end.
type Canceled struct{ Reason db.RunReason }

func (c Canceled) Error() string { return "canceled: " + string(c.Reason) }

// maxErrorLength bounds, in bytes, what is kept of an error's text.
const maxErrorLength = 4096

// Outcome is a claimed run, and how it ended, or an attempt of it. Make it with New; then Prepare, and where that says
// so, Begin and End.
type Outcome struct {
	Row db.ClaimRow

	status   db.RunStatus
	reason   db.RunReason // empty: none
	attempt  int16        // 0: not executed
	started  time.Time    // attempt 1
	began    time.Time    // the attempt that has ended
	finished time.Time
	error    string
	result   []byte
	// when is the job's schedule; without a grid: not yet computed.
	when schedule.Schedule
	// split is whether the schedule was to go on without the run when it was claimed: it was not missed then.
	split bool
	// step is what comes next for the job.
	step policy.Step
	// isTold is whether the target has said what comes next, whatever the job says.
	isTold bool
	// retryAt is when the run is to be tried again; zero: it has ended.
	retryAt time.Time
	// failed is the attempt that is to be tried again, as the history keeps it.
	failed []byte
}

// New returns the outcome, still open, of a run that was claimed.
func New(row db.ClaimRow) Outcome {
	return Outcome{Row: row, attempt: row.Attempt, started: row.StartedAt}
}

// RunID is the run's.
func (o *Outcome) RunID() uuid.UUID { return runid.New(o.Row.JobID, o.Row.ScheduledFor) }

// Prepare tells whether to make an attempt, as of now. Where not, the run has ended without.
func (o *Outcome) Prepare(now time.Time) bool {
	row, job := &o.Row, &o.Row.Job
	o.finished = clock.Later(now, o.started)
	o.began = o.finished
	if err := o.computeSchedule(); err != nil {
		o.abandon("", err.Error())
		o.goOn()
		return false
	}
	switch {
	case row.CancelReason != nil:
		o.status, o.reason = db.RunStatusCANCELED, *row.CancelReason
		o.attempt-- // the one that its claim has counted was not begun
	case row.Attempt > job.MaxAttempts:
		// Attempts are counted when claimed, so a run that kills whoever executes it each time ends here.
		o.abandon(db.RunReasonLEASEEXPIRED, fmt.Sprintf("the %s that executed attempt %d died", o.executor(), job.MaxAttempts))
	case job.DeletedAt != nil && row.Attempt == 1:
		o.status, o.reason, o.attempt = db.RunStatusSKIPPED, db.RunReasonJOBDELETED, 0
	case job.DeletedAt != nil:
		o.abandon(db.RunReasonJOBDELETED, fmt.Sprintf("the %s that executed it died, and the job was deleted", o.executor()))
	case row.Attempt == 1 && !o.isBeside():
		step := o.misfire(now)
		if step == nil {
			return true
		}
		if row.BufferedFor != nil {
			step = new(policy.Yield(o.when, row.ScheduledFor, *row.BufferedFor))
		}
		o.status, o.reason, o.attempt, o.step = db.RunStatusSKIPPED, db.RunReasonMISFIRE, 0, *step
	default:
		return true
	}
	o.goOn()
	return false
}

// executor names who executes the run.
func (o *Outcome) executor() string {
	if o.Row.Queue != nil {
		return "worker"
	}
	return "instance"
}

// Begin notes that the attempt begins now.
func (o *Outcome) Begin(now time.Time) {
	if o.attempt == 1 {
		o.started = clock.Later(now, o.Row.StartedAt)
	}
	o.began = clock.Later(now, o.started)
}

// Resume notes that the attempt was begun before, at an instant.
func (o *Outcome) Resume(began time.Time) { o.began = clock.Later(began, o.started) }

// End notes how the attempt ended, now: err as of target.Executor, or Canceled, or one that wraps ErrDeadline.
func (o *Outcome) End(now time.Time, result *executor.Result, err error) {
	o.finished = clock.Later(now, o.began)
	o.result = encodeResult(result)
	canceled, isCanceled := errors.AsType[Canceled](err)
	switch {
	case err == nil:
		o.status = db.RunStatusSUCCEEDED
	case isCanceled:
		o.status, o.reason = db.RunStatusCANCELED, canceled.Reason
	default:
		o.fail(err)
	}
	if o.retryAt.IsZero() {
		o.goOn()
	}
}

func (o *Outcome) fail(err error) {
	job := &o.Row.Job
	o.status, o.error = db.RunStatusFAILED, errorText(err.Error())
	if errors.Is(err, ErrDeadline) {
		o.reason = db.RunReasonDEADLINEEXCEEDED
	}
	failure, said := errors.AsType[*executor.Failure](err)
	if !said {
		failure = &executor.Failure{}
	}
	if failure.PauseReason != "" {
		o.step, o.isTold = policy.Step{FinalStatus: db.JobStatusPAUSED, StatusReason: failure.PauseReason}, true
		return
	}
	if failure.IsFinal || o.Row.Attempt >= job.MaxAttempts || job.DeletedAt != nil {
		return
	}
	o.retryAt = o.finished.Add(max(policy.Backoff(job, int(o.Row.Attempt)), failure.RetryAfter))
	o.failed, _ = json.Marshal(failedAttempt{ // numbers and valid text: cannot fail
		Attempt: o.Row.Attempt, Error: o.error, Result: o.result,
		StartedAt: instant.Time{Time: o.began}, FinishedAt: instant.Time{Time: o.finished},
	})
}

// abandon ends a run without another attempt: the one that its claim has counted was not begun.
func (o *Outcome) abandon(reason db.RunReason, text string) {
	o.status, o.reason, o.error = db.RunStatusFAILED, reason, errorText(text)
	o.attempt = max(o.attempt-1, 1)
}

// failedAttempt is how an attempt that was followed by another is kept.
type failedAttempt struct {
	Attempt    int16           `json:"attempt"`
	StartedAt  instant.Time    `json:"startedAt"`
	FinishedAt instant.Time    `json:"finishedAt"`
	Error      string          `json:"error"`
	Result     json.RawMessage `json:"result"`
}

// encodeResult returns a result as the history keeps it; nil: there is none.
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
