package poller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"punctual/gen/db"
	"punctual/internal/instant"
	"punctual/internal/lease"
	"punctual/internal/planner"
	"punctual/internal/runid"
	"punctual/internal/schedule"
	"punctual/internal/target"
)

// maxErrorLength bounds, in bytes, what is kept of an error's text.
const maxErrorLength = 4096

// ended is a run, or an attempt of one, that is off its executor's hands, or will be. It is handed on by its address: it is
// large, and a goroutine whose stack has to grow for it costs more than all else that is done to start one.
type ended struct {
	row      db.ClaimRow
	held     *lease.Lease
	status   db.RunStatus
	reason   db.RunReason // empty: none
	attempt  int16        // 0: not executed
	started  time.Time    // attempt 1
	finished time.Time
	error    string
	// when is the job's schedule; without a grid: not yet computed.
	when schedule.Schedule
	// split is whether the schedule was to go on without the run when it was claimed: it was not missed then.
	split bool
	// step is what comes next for the job.
	step planner.Step
	// retryAt is when the run is to be tried again; zero: it has ended.
	retryAt time.Time
	// failed is the attempt that is to be tried again, as the history keeps it.
	failed []byte
	// began is when the attempt that ended was begun, by the database's clock.
	began  time.Time
	settle func() // to be called once, when it is stored or never will be
}

// run executes one claimed run, until ctx ends, and hands its end over to be stored: whoever stores it settles it, so that
// what waits for that is a line in a batch and not a goroutine. It leaves the run to others when the lease is lost or work
// is interrupted: whoever claims it next makes another attempt.
func (p *Poller) run(ctx context.Context, end *ended) {
	if !p.hold(end.held, end.row.ReadyAt) {
		p.leave(end, lease.ErrLost)
		return
	}
	if !p.execute(ctx, end) {
		return
	}
	p.complete(end)
}

// leave leaves a run to others, and says so.
func (p *Poller) leave(end *ended, cause error) {
	p.Logger.Warn("run left to others",
		"runId", runid.New(end.row.JobID, end.row.ScheduledFor), "token", end.row.Token, "error", cause)
	end.settle()
}

// execute decides what is to be done with a claimed run, does it, and fills in how it ended. It returns false when it has
// left that to others. What comes before and after the attempt is apart, so that its stack is free while that goes on.
func (p *Poller) execute(ctx context.Context, end *ended) bool {
	if p.prepare(end) && !p.attempt(ctx, end) {
		return false
	}
	end.goOn()
	return true
}

// prepare tells whether to make an attempt. Where not, it fills in how the run ended without.
func (p *Poller) prepare(end *ended) bool {
	row, job := &end.row, &end.row.Job
	now := p.clock.Now()
	end.finished = later(now, end.started)
	end.began = end.finished
	if end.when.Grid == nil {
		var err error
		if end.when, err = planner.Schedule(job); err != nil {
			end.abandon("", err.Error())
			end.step = planner.Step{Rest: db.JobStatusPAUSED, Reason: "its schedule cannot be computed"}
			return false
		}
	}
	switch {
	case row.Attempt > job.MaxAttempts:
		// Attempts are counted when claimed, so a run that kills its instance each time ends here.
		end.abandon(db.RunReasonLEASEEXPIRED, fmt.Sprintf("the instance that executed attempt %d died", job.MaxAttempts))
		return false
	case row.CancelReason != nil:
		end.cancel(*row.CancelReason)
		return false
	case job.DeletedAt != nil:
		end.abandon(db.RunReasonJOBDELETED, "the instance that executed it died, and the job was deleted")
		return false
	case row.Attempt > 1:
		return true
	}
	if !end.split {
		if step := planner.Misfire(job, end.when, row.ScheduledFor, now); step != nil {
			end.status, end.reason, end.attempt, end.step = db.RunStatusSKIPPED, db.RunReasonMISFIRE, 0, *step
			return false
		}
	}
	end.started = later(now, row.StartedAt)
	return true
}

// goOn fills in what comes next for the job, unless that is decided already.
func (e *ended) goOn() {
	if e.step != (planner.Step{}) {
		return
	}
	began := e.began
	if e.row.FailedAttempts != nil {
		began = e.started // it has been busy since, if only by waiting for its next attempt
	}
	e.step = planner.After(&e.row.Job, e.when, planner.Run{
		// Not what an instance began and died with: that did not execute until others took it over.
		Occurrence: e.row.ScheduledFor, Started: began, Finished: e.finished,
		Failed: e.status == db.RunStatusFAILED, Count: e.row.RunCount + e.row.Job.RunCount, Failures: int(e.row.Failures),
	})
}

// attempt makes one attempt and fills in how it ended. It returns false when the instance had to leave it to others.
func (p *Poller) attempt(ctx context.Context, end *ended) bool {
	row, job := &end.row, &end.row.Job
	end.began = later(p.clock.Now(), end.started)
	if job.OverlapPolicy == db.OverlapPolicyCANCELOTHER {
		p.cancelEarlier(ctx, row)
		var release func()
		ctx, release = p.cancels.context(ctx, runid.New(row.JobID, row.ScheduledFor))
		defer release()
	}
	err := p.call(ctx, row)
	if !end.held.Held() || (err != nil && p.work.Err() != nil) {
		p.leave(end, err)
		return false
	}
	end.finished = later(p.clock.Now(), end.started)
	if err == nil {
		end.status = db.RunStatusSUCCEEDED
		return true
	}
	if errors.Is(context.Cause(ctx), errCanceled) {
		end.status, end.reason = db.RunStatusCANCELED, db.RunReasonOVERLAP
		return true
	}
	end.status, end.error = db.RunStatusFAILED, storable(err.Error())
	if errors.Is(err, errDeadline) {
		end.reason = db.RunReasonDEADLINEEXCEEDED
	}
	if row.Attempt < job.MaxAttempts {
		end.retryAt = end.finished.Add(planner.Backoff(job, int(row.Attempt)))
		end.failed, _ = json.Marshal(failedAttempt{ // numbers and valid text: cannot fail
			Attempt: row.Attempt, Error: end.error,
			StartedAt: instant.Time{Time: end.began}, FinishedAt: instant.Time{Time: end.finished},
		})
	}
	return true
}

// failedAttempt is how an attempt that was followed by another is kept.
type failedAttempt struct {
	Attempt    int16        `json:"attempt"`
	StartedAt  instant.Time `json:"startedAt"`
	FinishedAt instant.Time `json:"finishedAt"`
	Error      string       `json:"error"`
}

var errDeadline = errors.New("attempt deadline exceeded")

// call has the executor execute a run, until the attempt's deadline or until ctx ends. A panic fails the run, not the
// instance.
func (p *Poller) call(ctx context.Context, row *db.ClaimRow) (err error) {
	deadline := time.Duration(row.Job.AttemptDeadlineSeconds) * time.Second
	attempt := &lazyContext{parent: ctx, deadline: time.Now().Add(deadline), cause: errDeadline}
	defer attempt.end()
	defer func() {
		if r := recover(); r != nil {
			p.Logger.ErrorContext(ctx, "executor panicked", "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	err = p.Executor.Execute(attempt, target.Run{
		ID:           runid.New(row.JobID, row.ScheduledFor),
		JobID:        row.JobID,
		JobName:      row.Job.Name,
		ScheduledFor: row.ScheduledFor,
		Attempt:      int(row.Attempt),
		Payload:      row.Job.Payload,
	})
	if err != nil && errors.Is(context.Cause(attempt), errDeadline) {
		return fmt.Errorf("%w after %s: %w", errDeadline, deadline, err)
	}
	return err
}

// abandon ends a run without another attempt: the one that its claim has counted was not begun.
func (e *ended) abandon(reason db.RunReason, text string) {
	e.status, e.reason, e.error = db.RunStatusFAILED, reason, storable(text)
	e.attempt = max(e.attempt-1, 1)
}

// cancel ends a run that is to end before this attempt of it has begun.
func (e *ended) cancel(reason db.RunReason) {
	e.status, e.reason = db.RunStatusCANCELED, reason
	e.attempt = max(e.attempt-1, 1)
}

// hold waits for the instant at which a run may start. It reports false when the lease is lost meanwhile.
func (p *Poller) hold(held *lease.Lease, until time.Time) bool {
	for {
		left := until.Sub(p.clock.Now())
		if left <= 0 {
			return held.Held()
		}
		timer := time.NewTimer(left)
		select {
		case <-held.Context.Done():
			timer.Stop()
			return false
		case <-timer.C:
		}
	}
}

// storable makes text that came from anywhere acceptable to PostgreSQL, and never empty.
func storable(text string) string {
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "�")
	if text == "" {
		return "failed without saying why"
	}
	if len(text) > maxErrorLength {
		text = strings.ToValidUTF8(text[:maxErrorLength], "")
	}
	return text
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
