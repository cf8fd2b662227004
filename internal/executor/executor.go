// Package executor executes runs. Each type of target has its own executor: that of `log` is in
// log.go, that of `http` in http*.go. Workers execute the runs of `worker` targets.
//
// To add a type of target:
//
//   - Describe it in openapi.yaml as a variant of Target, and mark its secrets writeOnly.
//   - Implement Executor in a file of that name, and Checker if a definition can be wrong in a way
//     that the contract cannot express.
//   - Add it to the map of executors in internal/app.
package executor

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// Run describes the run that an executor executes.
type Run struct {
	ID    uuid.UUID
	JobID uuid.UUID
	// Namespace is where the job is.
	Namespace string
	// JobKey is the name of the job for programs, or empty if it has none.
	JobKey string
	// JobName is for people to read. It need not be unique.
	JobName      string
	ScheduledFor time.Time
	Attempt      int // counted from 1
	Payload      json.RawMessage
	// Definition is the job's target as the contract describes it, with defaults and without
	// secrets.
	Definition json.RawMessage
	// Secrets is a JSON object of the fields that the contract marks write-only, or nil if there
	// are none.
	Secrets json.RawMessage
	// Trace notes the requests that are sent. Nil: nobody wants to know.
	Trace *Trace
}

// Result is what is kept of an attempt, whether it succeeded or not.
type Result struct {
	// StatusCode is that of the HTTP answer, or zero if there was no answer.
	StatusCode int
	Duration   time.Duration
	// Output is what the target answered: valid UTF-8 without NUL and without secrets, of at most
	// MaxOutput bytes. It may contain control characters.
	Output string
	// OutputIsTruncated reports whether the target answered more than Output.
	OutputIsTruncated bool
}

// MaxOutput is how much of a target's answer is kept, in bytes.
const MaxOutput = 4096

// Executor executes runs of one type of target, many at a time.
type Executor interface {
	// Execute makes one attempt. If it returns an error, the attempt has failed, and users read the
	// text of the error; a *Failure says more. The result may be nil, also without an error.
	// Execute returns soon after ctx ends, as another instance may then execute the run.
	Execute(ctx context.Context, run Run) (*Result, error)
}

// Failure is an error that says what to do about it.
type Failure struct {
	Err error
	// RetryAfter is the minimum time before another attempt.
	RetryAfter time.Duration
	// IsFinal reports that another attempt would not help.
	IsFinal bool
	// IsUnreachable reports that there was no answer: from the receiver, or from whoever issues the
	// credentials for it. A connection whose attempts end in this way is down.
	IsUnreachable bool
	// PauseReason says, for people to read, why the job must be paused. If it is empty, the job
	// goes on. A failure that pauses the job is final.
	PauseReason string
}

func (f *Failure) Error() string { return f.Err.Error() }

func (f *Failure) Unwrap() error { return f.Err }

// Fault says what is wrong with one field of a target's definition.
type Fault struct {
	// Field is the name of the field within the target, with dots into objects: "url",
	// "headers.Host".
	Field string
	// Code tells programs what is wrong. It is a code of a field error of the contract.
	Code string
	// Detail tells people what is wrong, without quoting a secret.
	Detail string
}

// The codes of faults.
const (
	Required    = "required"
	WrongFormat = "wrong-format"
	NotAllowed  = "not-allowed"
	Conflicting = "conflicting"
	NotUnique   = "not-unique"
)

// Checker is implemented by executors whose definitions can be wrong although they satisfy the
// contract.
type Checker interface {
	// Check returns the faults of a definition that satisfies the contract. Secrets are as in Run.
	Check(definition, secrets json.RawMessage) []Fault
}
