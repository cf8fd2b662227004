// Package executor executes runs, one file for each type of target.
package executor

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// Run is what an executor is told of the run it executes.
type Run struct {
	ID    uuid.UUID
	JobID uuid.UUID
	// JobName is for people; it need not be unique.
	JobName      string
	ScheduledFor time.Time
	Attempt      int // counted from 1
	Payload      json.RawMessage
	// Definition is the job's target as the contract describes it, with its defaults, without its secrets.
	Definition json.RawMessage
	// Secrets are the fields of the target that the contract marks write-only, as one JSON object; nil: it has none.
	Secrets json.RawMessage
}

// Result is what an attempt left to be read beside whether it succeeded.
type Result struct {
	// StatusCode of an HTTP answer; zero where there was none.
	StatusCode int
	Duration   time.Duration
	// Output is what the target answered: valid UTF-8 without NUL, at most MaxOutput bytes, and free of secrets.
	Output string
	// OutputIsTruncated tells that there was more.
	OutputIsTruncated bool
}

// MaxOutput bounds, in bytes, what is kept of a target's answer.
const MaxOutput = 4096

// Executor executes runs of one type of target, many at a time.
type Executor interface {
	// Execute makes one attempt. An error fails it, and its text is kept for the user to read; a *Failure says more. The
	// result may be nil, and may come with an error. It returns soon after ctx ends: then the run is no longer this
	// instance's to execute.
	Execute(ctx context.Context, run Run) (*Result, error)
}

// Failure is an error that says what is to be done about it.
type Failure struct {
	Err error
	// RetryAfter is how long to wait at least before another attempt.
	RetryAfter time.Duration
	// IsFinal tells that another attempt would not help.
	IsFinal bool
	// PauseReason, where there is one, pauses the job, for people to read why. Then the failure is final too.
	PauseReason string
}

func (f *Failure) Error() string { return f.Err.Error() }

func (f *Failure) Unwrap() error { return f.Err }

// Fault is what is wrong with one field of a target's definition.
type Fault struct {
	// Field is its name, with dots into objects, from the target on: "url", "headers.Host".
	Field string
	// Detail says what is wrong, without quoting a secret.
	Detail string
}

// Checker is implemented by executors whose targets have to satisfy more than what the contract can say.
type Checker interface {
	// Check returns the faults of a definition that satisfies the contract. Secrets as in Run.
	Check(definition, secrets json.RawMessage) []Fault
}
