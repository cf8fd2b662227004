package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/gen/server"
	"punctual/internal/policy"
	"punctual/internal/schedule"
)

// definitions knows what a job's definition is made of, from the contract.
type definitions struct {
	properties map[string]bool
	defaults   []byte // JSON
}

// newDefinitions reads the contract, the only place where the defaults stand.
func newDefinitions(spec *openapi3.T) (definitions, error) {
	d := definitions{properties: map[string]bool{}}
	defaults := map[string]any{}
	for name, property := range spec.Components.Schemas["JobCreate"].Value.Properties {
		d.properties[name] = true
		if property.Value.Default != nil {
			defaults[name] = property.Value.Default
		}
	}
	var err error
	d.defaults, err = json.Marshal(defaults)
	return d, err
}

// complete returns a new job's definition with the defaults for what it leaves open.
func (d definitions) complete(given server.JobCreate) (full server.JobCreate, err error) {
	raw, err := json.Marshal(given)
	if err != nil {
		return full, err
	}
	full, err = d.over(raw)
	full.Payload = given.Payload // as it came: encoding JSON again would change its bytes
	return full, err
}

// merge returns a job's definition with what a change says instead (RFC 7396, one level deep).
func (d definitions) merge(job db.Job, change server.JobUpdate) (full server.JobCreate, err error) {
	raw, err := json.Marshal(encodeJob(jobRow{Job: job}))
	if err != nil {
		return full, err
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return full, err
	}
	maps.DeleteFunc(fields, func(name string, _ json.RawMessage) bool { return !d.properties[name] })
	for _, kind := range scheduleKinds {
		if isGiven(change[kind]) {
			// Another kind of schedule replaces the one that was, and what belongs to that.
			for _, other := range scheduleKinds {
				delete(fields, other)
			}
			if kind != "cron" {
				delete(fields, "timeZone")
			}
		}
	}
	for name, value := range change {
		if d.properties[name] {
			fields[name] = value
		}
	}
	maps.DeleteFunc(fields, func(_ string, value json.RawMessage) bool { return !isGiven(value) })
	delete(fields, "payload")
	if raw, err = json.Marshal(fields); err != nil {
		return full, err
	}
	full, err = d.over(raw)
	full.Payload = job.Payload
	if payload, ok := change["payload"]; ok {
		full.Payload = payload
	}
	return full, err
}

func (d definitions) over(raw []byte) (full server.JobCreate, err error) {
	return full, errors.Join(json.Unmarshal(d.defaults, &full), json.Unmarshal(raw, &full))
}

func isGiven(value json.RawMessage) bool {
	return len(value) > 0 && !bytes.Equal(value, []byte("null"))
}

// define returns the job that a complete definition stands for, as of now, or the fields that are at fault. before is the
// job it changes, if any: its grid goes on.
func define(in server.JobCreate, id uuid.UUID, before *db.Job, now time.Time) (db.Job, []server.FieldError) {
	job := db.Job{
		ID: id, Name: in.Name, Payload: []byte(cmp.Or(string(in.Payload), "null")),
		IntervalSeconds: in.IntervalInSeconds, Cron: in.Cron, RunAt: decodeInstant(in.RunAt),
		StartAt: decodeInstant(in.StartAt), EndAt: decodeInstant(in.EndAt), MaxRuns: in.MaxRuns,
		JitterSeconds: *in.JitterSeconds, DeleteAfterCompletion: *in.DeleteAfterCompletion,
		MisfirePolicy: db.MisfirePolicy(*in.MisfirePolicy), CatchupWindowSeconds: in.CatchupWindowSeconds,
		OverlapPolicy: db.OverlapPolicy(*in.OverlapPolicy), MaxAttempts: int16(*in.MaxAttempts),
		MinBackoffSeconds: *in.MinBackoffSeconds, MaxBackoffSeconds: *in.MaxBackoffSeconds,
		AttemptDeadlineSeconds: *in.AttemptDeadlineSeconds, RunHistory: db.RunHistory(*in.RunHistory),
		ConcurrencyGroup: in.ConcurrencyGroup, MaxConcurrency: in.MaxConcurrency,
		SecretNames: []string{}, Status: db.JobStatusACTIVE,
	}
	if in.PauseAfterFailures != nil {
		job.PauseAfterFailures = new(int16(*in.PauseAfterFailures))
	}
	wrong := defineSchedule(&job, in.TimeZone, before, now)
	if job.MaxBackoffSeconds < job.MinBackoffSeconds {
		wrong = append(wrong, inBody("minBackoffSeconds", "must not be more than maxBackoffSeconds"),
			inBody("maxBackoffSeconds", "must not be less than minBackoffSeconds"))
	}
	if (job.ConcurrencyGroup == nil) != (job.MaxConcurrency == nil) {
		wrong = append(wrong, inBody("concurrencyGroup", "has to be given together with maxConcurrency"),
			inBody("maxConcurrency", "has to be given together with concurrencyGroup"))
	}
	return job, wrong
}

// defineSchedule checks a job's schedule, and completes it with its zone or anchor.
func defineSchedule(job *db.Job, zone *string, before *db.Job, now time.Time) (wrong []server.FieldError) {
	switch kinds := given(job); len(kinds) {
	case 0:
		for _, kind := range scheduleKinds {
			wrong = append(wrong, inBody(kind, "one of intervalInSeconds, cron and runAt has to be given"))
		}
		return wrong
	case 1:
	default:
		for _, kind := range kinds {
			wrong = append(wrong, inBody(kind, "only one of intervalInSeconds, cron and runAt can be given"))
		}
		return wrong
	}
	if job.StartAt != nil && job.EndAt != nil && job.EndAt.Before(*job.StartAt) {
		wrong = append(wrong, inBody("startAt", "must not be after endAt"), inBody("endAt", "must not be before startAt"))
	}
	if job.Cron == nil && zone != nil {
		wrong = append(wrong, inBody("timeZone", "can be given only together with cron"))
	}
	if job.Cron != nil {
		job.TimeZone = new("UTC")
		if zone != nil {
			job.TimeZone = zone
		}
		wrong = append(wrong, checkCron(*job.Cron, *job.TimeZone, job.ID)...)
	}
	if job.IntervalSeconds != nil {
		job.AnchorAt = new(anchor(*job, before, now))
	}
	return wrong
}

// scheduleKinds are the fields of which each job has exactly one.
var scheduleKinds = []string{"intervalInSeconds", "cron", "runAt"}

// given names those of them that a job has.
func given(job *db.Job) (kinds []string) {
	for i, has := range []bool{job.IntervalSeconds != nil, job.Cron != nil, job.RunAt != nil} {
		if has {
			kinds = append(kinds, scheduleKinds[i])
		}
	}
	return kinds
}

// anchor returns the anchor of an interval's grid: the one it has, while neither interval nor start change; the last
// instant of the old grid for a new interval; else what a new job would have.
func anchor(job db.Job, before *db.Job, now time.Time) time.Time {
	if before != nil && before.IntervalSeconds != nil && same(before.StartAt, job.StartAt) {
		if *before.IntervalSeconds == *job.IntervalSeconds {
			return *before.AnchorAt
		}
		if job.StartAt == nil || job.StartAt.Before(now) {
			jitter := schedule.Jitter(before.ID, int64(before.JitterSeconds))
			return schedule.NewInterval(*before.AnchorAt, *before.IntervalSeconds).Last(now.Add(-jitter))
		}
	}
	return policy.Anchor(*job.IntervalSeconds, job.StartAt, now)
}

// ofMachine matches what is loaded as a zone where a machine has it, and is none of IANA's: its own, and those with leap seconds.
var ofMachine = regexp.MustCompile(`^(?i:local|localtime|posixrules|(posix|right)/.*)$`)

func checkCron(expression, zone string, id uuid.UUID) []server.FieldError {
	location, err := time.LoadLocation(zone)
	if err != nil || ofMachine.MatchString(zone) {
		return []server.FieldError{inBody("timeZone", "is not the IANA name of a time zone")}
	}
	if _, err := schedule.ParseCron(expression, location, schedule.Seed(id)); err != nil {
		if part, ok := errors.AsType[*schedule.CronError](err); ok {
			return []server.FieldError{inBody("cron", fmt.Sprintf("%s: %s", part.Field, part.Reason))}
		}
		return []server.FieldError{inBody("cron", err.Error())}
	}
	return nil
}

func inBody(field, detail string) server.FieldError {
	return server.FieldError{In: server.FieldErrorInBody, Field: field, Detail: detail}
}

func same(a, b *time.Time) bool {
	return (a == nil) == (b == nil) && (a == nil || a.Equal(*b))
}
