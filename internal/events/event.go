package events

import (
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/clock"
	"punctual/internal/instant"
	"punctual/internal/labels"
	"punctual/internal/sanitize"
)

// Event is something that happened. Its JSON is that of the contract's Event. Make it with OfRun,
// OfJob, OfQueue or OfConnection.
type Event struct {
	Type      Type         `json:"type"`
	Timestamp instant.Time `json:"timestamp"`
	// Data is a RunData, JobData, QueueData, ConnectionData or GroupData.
	Data any `json:"data"`

	// Namespace is where it happened.
	Namespace string `json:"-"`
	// Job is whose run it was, or to which job it happened. Nil: to none.
	Job *Job `json:"-"`
	// Cause is the run because of which it happened. Nil: no run.
	Cause *Cause `json:"-"`
}

// Job is what selects the job of an event.
type Job struct {
	ID     uuid.UUID
	Key    *string
	Labels labels.Set
}

// Cause is the run because of which something happened.
type Cause struct {
	Run uuid.UUID
	// Depth is how many runs come before it in the chain of runs that start each other by events.
	Depth int16
	// IsTooDeep says that the run was skipped because the chain is as long as it may be. What
	// happens because of that starts nothing.
	IsTooDeep bool
}

// jobData names a job.
type jobData struct {
	Namespace string    `json:"namespace"`
	JobID     uuid.UUID `json:"jobId"`
	JobKey    *string   `json:"jobKey"`
	JobName   string    `json:"jobName"`
}

// RunData is the data of an event of a run.
type RunData struct {
	jobData

	RunID        uuid.UUID     `json:"runId"`
	Status       db.RunStatus  `json:"status"`
	Reason       *db.RunReason `json:"reason"`
	Trigger      db.RunTrigger `json:"trigger"`
	ScheduledFor instant.Time  `json:"scheduledFor"`
	StartedAt    *instant.Time `json:"startedAt"`
	FinishedAt   instant.Time  `json:"finishedAt"`
	Attempt      int16         `json:"attempt"`
	Occurrences  int64         `json:"occurrences"`
	Error        *string       `json:"error"`
}

// Run is a run that has ended, as OfRun takes it.
type Run struct {
	ID           uuid.UUID
	Status       db.RunStatus
	Reason       db.RunReason // empty: there is none
	Trigger      db.RunTrigger
	ScheduledFor time.Time
	StartedAt    time.Time // zero: no attempt has begun
	FinishedAt   time.Time
	Attempt      int16
	Occurrences  int64
	Error        string // empty: there is none
	// HeldUntil is the end of the blackout that has held it last. Zero: none has, or it is not
	// known.
	HeldUntil time.Time
	// Depth is the event_depth of its row of due: how many runs come before it in the chain.
	Depth *int16
}

// Lateness returns how long after it was due the run began. Being held by a blackout is not late.
// It reports false of a run that has not begun, or that was backfilled: it was due long ago.
func (r Run) Lateness() (late time.Duration, ok bool) {
	if r.StartedAt.IsZero() || r.Trigger == db.RunTriggerBACKFILL {
		return 0, false
	}
	due := r.ScheduledFor
	if !r.StartedAt.Before(r.HeldUntil) {
		due = clock.Later(due, r.HeldUntil)
	}
	return r.StartedAt.Sub(due), true
}

// Duration returns the time from the start of the first attempt to the end of the run. It reports
// false of a run that has not begun.
func (r Run) Duration() (took time.Duration, ok bool) {
	return r.FinishedAt.Sub(r.StartedAt), !r.StartedAt.IsZero()
}

// Observer looks on at runs that have ended and are stored, to count them. The run is a row of the
// history, or would be one if the job kept all; a skipped one stands for its Occurrences. The
// target is the name of its type, or empty if it is not known. It must not block, nor keep or
// change the job.
type Observer func(job *db.Job, target string, run Run)

// OfRun returns what happened to a run of a job that has ended.
func OfRun(kind Type, job *db.Job, run Run) Event {
	data := RunData{
		jobData: dataOf(job), RunID: run.ID, Status: run.Status, Trigger: run.Trigger,
		ScheduledFor: instant.Time{Time: run.ScheduledFor}, FinishedAt: instant.Time{Time: run.FinishedAt},
		Attempt: run.Attempt, Occurrences: run.Occurrences, Error: firstLine(run.Error),
	}
	if run.Reason != "" {
		data.Reason = &run.Reason
	}
	if !run.StartedAt.IsZero() {
		data.StartedAt = &instant.Time{Time: run.StartedAt}
	}
	e := ofJob(kind, run.FinishedAt, job, data)
	e.Cause = run.cause()
	return e
}

func (r Run) cause() *Cause {
	cause := &Cause{Run: r.ID, IsTooDeep: r.Reason == db.RunReasonEVENTDEPTH}
	if r.Depth != nil {
		cause.Depth = *r.Depth
	}
	return cause
}

// JobData is the data of an event of a job.
type JobData struct {
	jobData

	RunID               *uuid.UUID    `json:"runId"`
	ConsecutiveFailures int32         `json:"consecutiveFailures"`
	StatusReason        *string       `json:"statusReason"`
	Actor               *string       `json:"actor"`
	OverdueSince        *instant.Time `json:"overdueSince"`
	Error               *string       `json:"error"`
}

// Change is what happened to a job, as OfJob takes it.
type Change struct {
	At time.Time
	// Run is the run because of which it happened. Nil: it was no run.
	Run *Run
	// ConsecutiveFailures is how many of the job's latest runs failed in a row.
	ConsecutiveFailures int32
	// StatusReason and Actor say why and by whom the job was paused.
	StatusReason, Actor *string
	// OverdueSince is since when a success is overdue. Zero: with another event.
	OverdueSince time.Time
}

// OfJob returns what happened to a job.
func OfJob(kind Type, job *db.Job, change Change) Event {
	data := JobData{
		jobData: dataOf(job), ConsecutiveFailures: change.ConsecutiveFailures,
		StatusReason: change.StatusReason, Actor: change.Actor,
	}
	if !change.OverdueSince.IsZero() {
		data.OverdueSince = &instant.Time{Time: change.OverdueSince}
	}
	var cause *Cause
	if change.Run != nil {
		data.RunID, data.Error, cause = &change.Run.ID, firstLine(change.Run.Error), change.Run.cause()
	}
	e := ofJob(kind, change.At, job, data)
	e.Cause = cause
	return e
}

func dataOf(job *db.Job) jobData {
	return jobData{Namespace: job.Namespace, JobID: job.ID, JobKey: job.Key, JobName: job.Name}
}

func ofJob(kind Type, at time.Time, job *db.Job, data any) Event {
	return Event{
		Type: kind, Timestamp: instant.Time{Time: at}, Data: data, Namespace: job.Namespace,
		Job: &Job{ID: job.ID, Key: job.Key, Labels: job.Labels},
	}
}

// QueueData is the data of an event of a queue.
type QueueData struct {
	Namespace    string       `json:"namespace"`
	Queue        string       `json:"queue"`
	WaitingSince instant.Time `json:"waitingSince"`
}

// OfQueue returns that nobody serves a queue, by its name in its namespace, in which a run has been
// waiting since an instant.
func OfQueue(kind Type, at time.Time, namespace, queue string, since time.Time) Event {
	return Event{
		Type: kind, Timestamp: instant.Time{Time: at}, Namespace: namespace,
		Data: QueueData{namespace, queue, instant.Time{Time: since}},
	}
}

// ConnectionData is the data of an event of a connection.
type ConnectionData struct {
	Namespace  string  `json:"namespace"`
	Connection string  `json:"connection"`
	Reason     *string `json:"reason"`
}

// OfConnection returns what happened to a connection, by its key. The reason is empty if it is not
// down.
func OfConnection(kind Type, at time.Time, namespace, connection, reason string) Event {
	return Event{
		Type: kind, Timestamp: instant.Time{Time: at}, Namespace: namespace,
		Data: ConnectionData{namespace, connection, firstLine(reason)},
	}
}

// maxErrorLength bounds, in characters, what an event says of an error.
const maxErrorLength = 500

// firstLine returns the first line of a text, bounded, or nil if the text is empty.
func firstLine(text string) *string {
	if text == "" {
		return nil
	}
	line := sanitize.FirstLine(text)
	if utf8.RuneCountInString(line) > maxErrorLength {
		line = string([]rune(line)[:maxErrorLength])
	}
	return &line
}
