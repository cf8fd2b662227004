package jobs

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/events"
	"punctual/internal/labels"
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
	Key         Optional[*string]         `json:"key"` // only of a new job
	Name        Optional[string]          `json:"name"`
	Description Optional[string]          `json:"description"`
	Labels      Optional[labels.Changes]  `json:"labels"`
	Payload     Optional[json.RawMessage] `json:"payload"` // kept byte for byte
	Target      Optional[Target]          `json:"target"`

	IntervalSeconds       Optional[*int64]           `json:"intervalInSeconds"`
	Cron                  Optional[*string]          `json:"cron"`
	TimeZone              Optional[*string]          `json:"timeZone"`
	Rrule                 Optional[*string]          `json:"rrule"`
	RunAt                 Optional[*time.Time]       `json:"runAt"`
	OnDemand              Optional[bool]             `json:"onDemand"`
	StartsOn              Optional[*events.StartsOn] `json:"startsOn"`
	StartAt               Optional[*time.Time]       `json:"startAt"`
	EndAt                 Optional[*time.Time]       `json:"endAt"`
	MaxRuns               Optional[*int64]           `json:"maxRuns"`
	JitterSeconds         Optional[int32]            `json:"jitterSeconds"`
	DeleteAfterCompletion Optional[bool]             `json:"deleteAfterCompletion"`
	SkipOn                Optional[[]string]         `json:"skipOn"`
	OnlyOn                Optional[[]string]         `json:"onlyOn"`
	OnSkipped             Optional[db.OnSkipped]     `json:"onSkipped"`

	MisfirePolicy              Optional[db.MisfirePolicy] `json:"misfirePolicy"`
	CatchupWindowSeconds       Optional[*int64]           `json:"catchupWindowSeconds"`
	OverlapPolicy              Optional[db.OverlapPolicy] `json:"overlapPolicy"`
	MaxAttempts                Optional[int16]            `json:"maxAttempts"`
	MinBackoffSeconds          Optional[int32]            `json:"minBackoffSeconds"`
	MaxBackoffSeconds          Optional[int32]            `json:"maxBackoffSeconds"`
	AttemptDeadlineSeconds     Optional[int32]            `json:"attemptDeadlineSeconds"`
	PauseAfterFailures         Optional[*int16]           `json:"pauseAfterFailures"`
	LateAfterSeconds           Optional[*int64]           `json:"lateAfterSeconds"`
	AlertAfterFailures         Optional[int16]            `json:"alertAfterFailures"`
	ExpectSuccessWithinSeconds Optional[*int64]           `json:"expectSuccessWithinSeconds"`
	RunHistory                 Optional[db.RunHistory]    `json:"runHistory"`
	ConcurrencyGroup           Optional[*string]          `json:"concurrencyGroup"`
	MaxConcurrency             Optional[*int32]           `json:"maxConcurrency"`
	Metrics                    Optional[bool]             `json:"metrics"`
	PublicBadge                Optional[bool]             `json:"publicBadge"`

	Status       Optional[db.JobStatus] `json:"status"`
	StatusReason Optional[*string]      `json:"statusReason"`
	PauseUntil   Optional[*time.Time]   `json:"pauseUntil"`

	// pauseID is that of the bulk change that gives the status PAUSED. Nil: none does.
	pauseID *uuid.UUID
}

// applyTo sets the fields of a job that the change gives, except its target, which
// Service.setTarget sets.
func (c *Change) applyTo(job *Definition) {
	c.replaceSchedule(job)
	Set(&job.Key, c.Key)
	Set(&job.Name, c.Name)
	Set(&job.Description, c.Description)
	job.Labels = c.Labels.Value.ApplyTo(job.Labels)
	Set(&job.Payload, Optional[[]byte]{c.Payload.Value, c.Payload.IsGiven})
	Set(&job.IntervalSeconds, c.IntervalSeconds)
	Set(&job.Cron, c.Cron)
	Set(&job.TimeZone, c.TimeZone)
	Set(&job.Rrule, c.Rrule)
	setInstant(&job.RunAt, c.RunAt)
	Set(&job.OnDemand, c.OnDemand)
	setStartsOn(job, c.StartsOn)
	setInstant(&job.StartAt, c.StartAt)
	setInstant(&job.EndAt, c.EndAt)
	Set(&job.MaxRuns, c.MaxRuns)
	Set(&job.JitterSeconds, c.JitterSeconds)
	setKeys(&job.SkipOn, c.SkipOn)
	setKeys(&job.OnlyOn, c.OnlyOn)
	Set(&job.OnSkipped, c.OnSkipped)
	Set(&job.DeleteAfterCompletion, c.DeleteAfterCompletion)
	Set(&job.MisfirePolicy, c.MisfirePolicy)
	Set(&job.CatchupWindowSeconds, c.CatchupWindowSeconds)
	Set(&job.OverlapPolicy, c.OverlapPolicy)
	Set(&job.MaxAttempts, c.MaxAttempts)
	Set(&job.MinBackoffSeconds, c.MinBackoffSeconds)
	Set(&job.MaxBackoffSeconds, c.MaxBackoffSeconds)
	Set(&job.AttemptDeadlineSeconds, c.AttemptDeadlineSeconds)
	Set(&job.PauseAfterFailures, c.PauseAfterFailures)
	Set(&job.LateAfterSeconds, c.LateAfterSeconds)
	Set(&job.AlertAfterFailures, c.AlertAfterFailures)
	Set(&job.ExpectSuccessWithinSeconds, c.ExpectSuccessWithinSeconds)
	Set(&job.RunHistory, c.RunHistory)
	Set(&job.ConcurrencyGroup, c.ConcurrencyGroup)
	Set(&job.MaxConcurrency, c.MaxConcurrency)
	Set(&job.Metrics, c.Metrics)
	Set(&job.PublicBadge, c.PublicBadge)
	if c.Status.IsGiven {
		// Who gives a status decides it, whatever becomes of the namespace.
		job.Status, job.StatusReason, job.Suspended = c.Status.Value, nil, false
		job.PauseUntil, job.PauseID, job.PausedByService = nil, c.pauseID, false
	}
	Set(&job.StatusReason, c.StatusReason)
	setInstant(&job.PauseUntil, c.PauseUntil)
	if c.PauseUntil.Value != nil {
		job.Suspended = false // it goes on at that instant, not with its namespace
	}
}

// replaceSchedule clears the kind of schedule that a job has, and what belongs to it, if the change
// gives another kind.
func (c *Change) replaceSchedule(job *Definition) {
	isLocal := c.Cron.Value != nil || c.Rrule.Value != nil
	if isLocal || c.IntervalSeconds.Value != nil || c.RunAt.Value != nil || c.OnDemand.Value || c.StartsOn.Value != nil {
		job.IntervalSeconds, job.Cron, job.Rrule, job.RunAt, job.OnDemand, job.StartsOn = nil, nil, nil, nil, false, nil
		if !isLocal {
			job.TimeZone = nil
		}
	}
}

// Set sets a field to a value that is given.
func Set[T any](field *T, to Optional[T]) {
	if to.IsGiven {
		*field = to.Value
	}
}

// setStartsOn sets the events that start a job, in the form in which the table keeps them.
func setStartsOn(job *Definition, to Optional[*events.StartsOn]) {
	if !to.IsGiven {
		return
	}
	job.StartsOn = nil
	if to.Value != nil {
		job.StartsOn, _ = json.Marshal(to.Value) // texts and numbers: cannot fail
	}
}

// setKeys sets a list of keys. None are nil.
func setKeys(field *[]string, to Optional[[]string]) {
	if to.IsGiven && len(to.Value) == 0 {
		to.Value = nil
	}
	Set(field, to)
}

// setInstant sets an instant in whole microseconds, which is what PostgreSQL keeps.
func setInstant(field **time.Time, to Optional[*time.Time]) {
	if to.IsGiven && to.Value != nil {
		to.Value = new(to.Value.UTC().Truncate(time.Microsecond))
	}
	Set(field, to)
}
