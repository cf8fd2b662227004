package poller

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"punctual/gen/db"
	"punctual/internal/lease"
	"punctual/internal/runid"
	"punctual/internal/target"
)

// maxAttempts bounds how often a run is begun whose instance dies with it.
const maxAttempts = 3

// maxErrorLength bounds, in bytes, what is kept of an error's text.
const maxErrorLength = 4096

// ended is a run that is off its executor's hands.
type ended struct {
	row      db.ClaimRow
	held     *lease.Lease
	status   db.RunStatus
	reason   db.RunReason // empty: none
	attempt  int16
	started  time.Time // attempt 1
	finished time.Time
	error    string
	stored   chan struct{} // closed when it is completed, or never will be
}

// run executes one claimed run and returns when it is stored. It leaves the run to others when the lease is lost or
// work is interrupted: whoever claims it next makes another attempt.
func (p *Poller) run(held *lease.Lease, row db.ClaimRow) {
	end := ended{row: row, held: held, attempt: row.Attempt, started: row.StartedAt, stored: make(chan struct{})}
	switch {
	case row.Attempt > maxAttempts:
		// Attempts are counted when claimed, so a run that kills its instance each time ends here.
		end.abandon(db.RunReasonLEASEEXPIRED, fmt.Sprintf("its instance died in each of %d attempts", maxAttempts))
	case row.Deleted:
		end.abandon(db.RunReasonJOBDELETED, "its instance died, and the job was deleted")
	default:
		if !p.hold(held, row.ReadyAt) {
			return
		}
		if row.Attempt == 1 {
			end.started = later(p.clock.Now(), row.StartedAt)
		}
		err := p.attempt(held, row)
		switch {
		case held.Context.Err() != nil, err != nil && p.work.Err() != nil:
			p.Logger.Warn("run left to others", "runId", runid.New(row.JobID, row.ScheduledFor), "error", err)
			return
		case err != nil:
			end.status, end.error = db.RunStatusFAILED, storable(err.Error())
		default:
			end.status = db.RunStatusSUCCEEDED
		}
	}
	end.finished = later(p.clock.Now(), end.started)
	p.complete(end)
	<-end.stored
}

// hold waits for the instant at which a run may start. It reports false when the lease is lost meanwhile.
func (p *Poller) hold(held *lease.Lease, until time.Time) bool {
	for {
		left := until.Sub(p.clock.Now())
		if left <= 0 {
			return held.Context.Err() == nil
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

// abandon ends a run without another attempt: the one that its claim has counted was not begun.
func (e *ended) abandon(reason db.RunReason, text string) {
	e.status, e.reason, e.error = db.RunStatusFAILED, reason, text
	e.attempt--
}

// attempt executes row once, until the lease is lost or work is interrupted. A panic fails the run, not the instance.
func (p *Poller) attempt(held *lease.Lease, row db.ClaimRow) (err error) {
	ctx, cancel := context.WithCancelCause(held.Context)
	defer cancel(nil)
	defer context.AfterFunc(p.work, func() { cancel(context.Cause(p.work)) })()
	defer func() {
		if r := recover(); r != nil {
			p.Logger.ErrorContext(ctx, "executor panicked", "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return p.Executor.Execute(ctx, target.Run{
		ID:           runid.New(row.JobID, row.ScheduledFor),
		JobID:        row.JobID,
		JobName:      row.Name,
		ScheduledFor: row.ScheduledFor,
		Attempt:      int(row.Attempt),
		Payload:      row.Payload,
	})
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
