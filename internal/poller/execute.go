package poller

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"punctual/gen/db"
	"punctual/internal/executor"
	"punctual/internal/lease"
	"punctual/internal/runs"
)

// run is a claimed run that this instance executes.
type run struct {
	claimed *runs.Claimed
	ended   *runs.Ended // nil until the run, or an attempt of it, has ended
	lease   *lease.Lease
	call    *call // nil if it calls no connection
	// released is to be called once, by release.
	released func()
}

// release says that the run is stored, or never will be by this instance.
func (r *run) release() {
	r.claimed, r.ended = nil, nil // or they would be kept until the last run of the batch ends
	r.released()
}

// execute executes one claimed run, until ctx ends, and hands over how it ended. Whoever stores
// that releases the run, so that a run that waits for it is an entry of a batch and not a
// goroutine. If the lease is lost or work is interrupted, the run is left to others: whoever claims
// it next makes another attempt. The attempt is a function of its own, so that the stack is small
// during it.
func (p *Poller) execute(ctx context.Context, r *run) {
	startAt := r.claimed.Due.ReadyAt
	if r.call != nil {
		startAt = r.call.startAt
	}
	if !p.waitUntil(r.lease, startAt) {
		p.leave(r, lease.ErrLost)
		return
	}
	attempt, ended := r.claimed.Prepare(p.clock.Now())
	if attempt != nil {
		if ended = p.attempt(ctx, r, attempt); ended == nil {
			return
		}
	}
	r.ended = ended
	p.handOver(r)
}

// leave leaves a run to others, and logs that.
func (p *Poller) leave(r *run, cause error) {
	p.Logger.Warn("run left to others", "runId", r.claimed.RunID(), "token", r.claimed.Due.Token, "error", cause)
	r.release()
}

// attempt makes one attempt and returns how it ended, or nil if the instance had to leave it to
// others.
func (p *Poller) attempt(ctx context.Context, r *run, a *runs.Attempt) *runs.Ended {
	for _, canceled := range p.runs.CancelEarlier(ctx, a) {
		p.Cancel(canceled, db.RunReasonOVERLAP)
	}
	a.Begin(p.clock.Now())
	result, err := p.call(ctx, a)
	if !r.lease.Held() || (err != nil && p.work.Err() != nil) {
		p.runs.TraceLeft(a, err)
		p.leave(r, err)
		return nil
	}
	if r.call != nil {
		p.learn(ctx, r.call, a, result, err)
	}
	return a.End(p.clock.Now(), result, err)
}

// call calls the executor, until the attempt's deadline, or until the run is canceled or ctx ends.
// A panic fails the run, not the instance.
func (p *Poller) call(ctx context.Context, a *runs.Attempt) (result *executor.Result, err error) {
	deadline := time.Duration(a.Job.AttemptDeadlineSeconds) * time.Second
	attempt := &attemptContext{
		parent: ctx, deadline: time.Now().Add(deadline), cancels: &p.cancels, run: a.RunID(),
	}
	defer attempt.end()
	defer func() {
		if reason := recover(); reason != nil {
			p.Logger.ErrorContext(ctx, "executor panicked; the attempt has failed", "runId", attempt.run, "panic", reason,
				"stack", string(debug.Stack()))
			result, err = nil, fmt.Errorf("panic: %v", reason)
		}
	}()
	opened, err := executor.OpenSecrets(p.Secrets, &a.Job)
	if err != nil {
		return nil, err
	}
	var noted *executor.Trace
	if p.Tracer != nil {
		noted = p.runs.Trace(a)
	}
	result, err = p.Executor.Execute(attempt, executor.Run{
		ID:           attempt.run,
		JobID:        a.Due.JobID,
		Namespace:    a.Job.Namespace,
		JobKey:       a.JobKey(),
		JobName:      a.Job.Name,
		ScheduledFor: a.Instant(),
		Attempt:      int(a.Due.Attempt),
		Payload:      a.Payload(),
		Definition:   a.Job.Target,
		Secrets:      opened,
		Trace:        noted,
	})
	if err == nil {
		return result, nil
	}
	cause := context.Cause(attempt)
	if canceled, ok := errors.AsType[runs.Canceled](cause); ok {
		return result, canceled
	}
	if errors.Is(cause, runs.ErrDeadline) {
		return result, fmt.Errorf("%w after %s: %w", runs.ErrDeadline, deadline, err)
	}
	return result, err
}

// waitUntil waits for the instant at which a run may start. It returns false if the lease is lost
// meanwhile.
func (p *Poller) waitUntil(held *lease.Lease, instant time.Time) bool {
	for {
		left := instant.Sub(p.clock.Now())
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
