package jobs

import (
	"encoding/json"
	"time"

	"punctual/gen/db"
)

// Optional is a value that a request may leave out. A value of a pointer type may also be null,
// which is not the same as absent.
type Optional[T any] struct {
	Value   T
	IsGiven bool
}

// Given returns a value that is given.
func Given[T any](value T) Optional[T] { return Optional[T]{value, true} }

// UnmarshalJSON decodes a value that is given.
func (o *Optional[T]) UnmarshalJSON(raw []byte) error {
	o.IsGiven = true
	return json.Unmarshal(raw, &o.Value)
}

// Target is the target of a job as a request gives it: its fields, secrets included.
type Target map[string]any

// Change is what a request says of a job: of a new one, or of one that is to be changed. Its JSON
// is that of the contract's JobCreate and JobUpdate, which bound each field.
type Change struct {
	Name    Optional[string]          `json:"name"`
	Payload Optional[json.RawMessage] `json:"payload"` // kept byte for byte
	Target  Optional[Target]          `json:"target"`

	IntervalSeconds       Optional[*int64]     `json:"intervalInSeconds"`
	Cron                  Optional[*string]    `json:"cron"`
	TimeZone              Optional[*string]    `json:"timeZone"`
	RunAt                 Optional[*time.Time] `json:"runAt"`
	StartAt               Optional[*time.Time] `json:"startAt"`
	EndAt                 Optional[*time.Time] `json:"endAt"`
	MaxRuns               Optional[*int64]     `json:"maxRuns"`
	JitterSeconds         Optional[int32]      `json:"jitterSeconds"`
	DeleteAfterCompletion Optional[bool]       `json:"deleteAfterCompletion"`

	MisfirePolicy          Optional[db.MisfirePolicy] `json:"misfirePolicy"`
	CatchupWindowSeconds   Optional[*int64]           `json:"catchupWindowSeconds"`
	OverlapPolicy          Optional[db.OverlapPolicy] `json:"overlapPolicy"`
	MaxAttempts            Optional[int16]            `json:"maxAttempts"`
	MinBackoffSeconds      Optional[int32]            `json:"minBackoffSeconds"`
	MaxBackoffSeconds      Optional[int32]            `json:"maxBackoffSeconds"`
	AttemptDeadlineSeconds Optional[int32]            `json:"attemptDeadlineSeconds"`
	PauseAfterFailures     Optional[*int16]           `json:"pauseAfterFailures"`
	RunHistory             Optional[db.RunHistory]    `json:"runHistory"`
	ConcurrencyGroup       Optional[*string]          `json:"concurrencyGroup"`
	MaxConcurrency         Optional[*int32]           `json:"maxConcurrency"`

	Status       Optional[db.JobStatus] `json:"status"`
	StatusReason Optional[*string]      `json:"statusReason"`
}

// applyTo sets the fields of a job that the change gives, except its target, which
// Service.setTarget sets.
func (c *Change) applyTo(job *Definition) {
	c.replaceSchedule(job)
	set(&job.Name, c.Name)
	set(&job.Payload, Optional[[]byte]{c.Payload.Value, c.Payload.IsGiven})
	set(&job.IntervalSeconds, c.IntervalSeconds)
	set(&job.Cron, c.Cron)
	set(&job.TimeZone, c.TimeZone)
	setInstant(&job.RunAt, c.RunAt)
	setInstant(&job.StartAt, c.StartAt)
	setInstant(&job.EndAt, c.EndAt)
	set(&job.MaxRuns, c.MaxRuns)
	set(&job.JitterSeconds, c.JitterSeconds)
	set(&job.DeleteAfterCompletion, c.DeleteAfterCompletion)
	set(&job.MisfirePolicy, c.MisfirePolicy)
	set(&job.CatchupWindowSeconds, c.CatchupWindowSeconds)
	set(&job.OverlapPolicy, c.OverlapPolicy)
	set(&job.MaxAttempts, c.MaxAttempts)
	set(&job.MinBackoffSeconds, c.MinBackoffSeconds)
	set(&job.MaxBackoffSeconds, c.MaxBackoffSeconds)
	set(&job.AttemptDeadlineSeconds, c.AttemptDeadlineSeconds)
	set(&job.PauseAfterFailures, c.PauseAfterFailures)
	set(&job.RunHistory, c.RunHistory)
	set(&job.ConcurrencyGroup, c.ConcurrencyGroup)
	set(&job.MaxConcurrency, c.MaxConcurrency)
	if c.Status.IsGiven {
		// Who gives a status decides it, whatever becomes of the namespace.
		job.Status, job.StatusReason, job.Suspended = c.Status.Value, nil, false
	}
	set(&job.StatusReason, c.StatusReason)
}

// replaceSchedule clears the kind of schedule that a job has, and what belongs to it, if the change
// gives another kind.
func (c *Change) replaceSchedule(job *Definition) {
	isCron := c.Cron.Value != nil
	if isCron || c.IntervalSeconds.Value != nil || c.RunAt.Value != nil {
		job.IntervalSeconds, job.Cron, job.RunAt = nil, nil, nil
		if !isCron {
			job.TimeZone = nil
		}
	}
}

func set[T any](field *T, to Optional[T]) {
	if to.IsGiven {
		*field = to.Value
	}
}

// setInstant sets an instant in whole microseconds, which is what PostgreSQL keeps.
func setInstant(field **time.Time, to Optional[*time.Time]) {
	if to.IsGiven && to.Value != nil {
		to.Value = new(to.Value.UTC().Truncate(time.Microsecond))
	}
	set(field, to)
}
