package ui

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"punctual/gen/client"
)

// step is a part of the time of a run: an attempt, or the wait before one.
type step struct {
	kind     kind
	label    string
	from, to time.Time
	isWait   bool
	isOpen   bool // it goes on
	// What came of an attempt.
	error      string
	result     *client.RunResult
	executedBy *string
	reason     *client.RunReason
	// x and width are where the step is in the bar, in percent of it.
	x, width float64
}

func (s step) lasted() string { return exact(s.to.Sub(s.from)) }

// steps are all parts of a run in their order, from when it was scheduled for to its end, or until
// now.
func (r shownRun) steps(now time.Time) (all []step) {
	end := now
	if r.FinishedAt != nil {
		end = *r.FinishedAt
	}
	if r.StartedAt == nil { // no attempt was made
		label := words(string(r.Status))
		if r.isOpen() {
			label = "Waits"
		}
		return placed(append(all, step{
			kind: runKind(r.Status), label: label, from: r.ScheduledFor, to: end, isWait: r.isOpen(), isOpen: r.isOpen(), reason: r.Reason,
		}))
	}
	last := r.ScheduledFor
	wait := func(label string, until time.Time) {
		if until.After(last) {
			all = append(all, step{kind: quiet, label: label, from: last, to: until, isWait: true})
		}
	}
	for _, a := range r.FailedAttempts {
		wait(waitLabel(len(all)), a.StartedAt)
		all = append(all, step{
			kind: bad, label: fmt.Sprintf("Attempt %d failed", a.Attempt), from: a.StartedAt, to: a.FinishedAt,
			error: a.Error, result: a.Result, executedBy: a.ExecutedBy, reason: a.Reason,
		})
		last = a.FinishedAt
	}
	if r.isOpen() && r.WaitingFor != nil { // for its next attempt
		wait("Waits for "+waitsFor[*r.WaitingFor], end)
		all[len(all)-1].isOpen = true
		return placed(all)
	}
	if int(r.Attempt) == len(r.FailedAttempts) { // the last one was lost, or canceled while it waited
		wait("Waited", end)
		return placed(all)
	}
	started := *r.StartedAt
	if len(r.FailedAttempts) > 0 {
		started = last
		if r.Result != nil {
			started = end.Add(-time.Duration(r.Result.DurationMilliseconds) * time.Millisecond)
		}
	}
	wait(waitLabel(len(all)), started)
	label := map[client.RunStatus]string{
		client.RunStatusRUNNING: "executes", client.RunStatusSUCCEEDED: "succeeded", client.RunStatusFAILED: "failed",
		client.RunStatusCANCELED: "canceled",
	}[r.Status]
	return placed(append(all, step{
		kind: runKind(r.Status), label: fmt.Sprintf("Attempt %d %s", r.Attempt, label), from: started, to: end, isOpen: r.isOpen(),
		error: deref(r.Error), result: r.Result, executedBy: r.ExecutedBy, reason: r.Reason,
	}))
}

// waitLabel says what a run waited for, after so many steps.
func waitLabel(steps int) string {
	if steps == 0 {
		return "Waited to start"
	}
	return "Waited for the next attempt"
}

// placed gives each step its place. One that is short beside the others can be seen, too.
func placed(steps []step) []step {
	const least = 0.01 // of the bar
	var total, sum float64
	for _, s := range steps {
		total += max(0, s.to.Sub(s.from).Seconds())
	}
	for i, s := range steps {
		steps[i].width = max(least, max(0, s.to.Sub(s.from).Seconds())/cmp.Or(total, 1))
		sum += steps[i].width
	}
	x := 0.0
	for i := range steps {
		steps[i].width *= 100 / sum
		steps[i].x = x
		x += steps[i].width
	}
	return steps
}

// told are the steps as a sentence, for those who do not see the bar.
func told(steps []step) string {
	var parts []string
	for _, s := range steps {
		parts = append(parts, s.label+", "+s.lasted())
	}
	return strings.Join(parts, "; ")
}

// percent writes a length of a shape.
func percent(share float64) string { return fmt.Sprintf("%.3f%%", share) }
