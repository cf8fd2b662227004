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

// run is a claimed run on this instance's hands. It is handed on by its address: it is large, and a goroutine whose stack has
// to grow for it costs more than all else that is done to start one.
type run struct {
	runs.Outcome
	held   *lease.Lease
	settle func() // to be called once, when it is stored or never will be
}

// execute executes one claimed run, until ctx ends, and hands its end over to be stored: whoever stores it settles it, so that
// what waits for that is a line in a batch and not a goroutine. It leaves the run to others when the lease is lost or work
// is interrupted: whoever claims it next makes another attempt. What comes before and after the attempt is apart from it, so
// that its stack is free while that goes on.
func (p *Poller) execute(ctx context.Context, r *run) {
	if !p.hold(r.held, r.Row.ReadyAt) {
		p.leave(r, lease.ErrLost)
		return
	}
	if r.Prepare(p.clock.Now()) && !p.attempt(ctx, r) {
		return
	}
	p.handOver(r)
}

// leave leaves a run to others, and says so.
func (p *Poller) leave(r *run, cause error) {
	p.Logger.Warn("run left to others", "runId", r.RunID(), "token", r.Row.Token, "error", cause)
	r.settle()
}

// attempt makes one attempt and notes how it ended. It returns false when the instance had to leave it to others.
func (p *Poller) attempt(ctx context.Context, r *run) bool {
	canceled, err := p.outcomes.CancelEarlier(ctx, &r.Outcome)
	if err != nil {
		p.Logger.ErrorContext(ctx, "earlier runs go on", "runId", r.RunID(), "error", err)
	}
	for _, run := range canceled {
		p.Cancel(run, db.RunReasonOVERLAP)
	}
	r.Begin(p.clock.Now())
	result, err := p.call(ctx, r)
	if !r.held.Held() || (err != nil && p.work.Err() != nil) {
		p.leave(r, err)
		return false
	}
	r.End(p.clock.Now(), result, err)
	return true
}

// call has the executor execute a run, until the attempt's deadline, or until the run is canceled or ctx ends. A panic fails
// the run, not the instance.
func (p *Poller) call(ctx context.Context, r *run) (result *executor.Result, err error) {
	job := &r.Row.Job
	deadline := time.Duration(job.AttemptDeadlineSeconds) * time.Second
	attempt := &attemptContext{
		parent: ctx, deadline: time.Now().Add(deadline), cancels: &p.cancels, run: r.RunID(),
	}
	defer attempt.end()
	defer func() {
		if reason := recover(); reason != nil {
			p.Logger.ErrorContext(ctx, "executor panicked", "panic", reason, "stack", string(debug.Stack()))
			result, err = nil, fmt.Errorf("panic: %v", reason)
		}
	}()
	opened, err := executor.OpenSecrets(p.Secrets, job)
	if err != nil {
		return nil, err
	}
	scheduledFor := r.Row.ScheduledFor
	if r.Row.RetryOf != nil {
		scheduledFor = *r.Row.RetryOf // it is that run's work that is done
	}
	result, err = p.Executor.Execute(attempt, executor.Run{
		ID:           attempt.run,
		JobID:        r.Row.JobID,
		JobName:      job.Name,
		ScheduledFor: scheduledFor,
		Attempt:      int(r.Row.Attempt),
		Payload:      job.Payload,
		Definition:   job.Target,
		Secrets:      opened,
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
