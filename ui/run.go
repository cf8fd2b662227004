package ui

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"punctual/gen/client"
	"punctual/internal/answers"
	"punctual/internal/sanitize"
)

// relatedRuns is how many runs that belong to a run are listed.
const relatedRuns client.Limit = 50

// shownRun is a run, with what belongs to it.
type shownRun struct {
	client.Run
	// job is the version of the job that was executed, or that will be; nil if it is gone.
	job *client.Job
	// version is that of job.
	version int32
	retries []client.Run
	// caused are the runs that events of this one have started, as far as they were looked for.
	caused []client.Run
}

// zone is the zone of the job.
func (r shownRun) zone() string {
	if r.job == nil || r.job.TimeZone == nil {
		return ""
	}
	return *r.job.TimeZone
}

// sent is the payload that the target gets.
func (r shownRun) sent() json.RawMessage {
	if r.Payload == nil && r.job != nil {
		return r.job.Payload
	}
	return r.Payload
}

// isOpen reports whether the run has not ended.
func (r shownRun) isOpen() bool { return r.FinishedAt == nil }

// canRetry reports whether the run has ended without success, and its job exists.
func (r shownRun) canRetry() bool {
	return !r.isOpen() && r.Status != client.RunStatusSUCCEEDED && r.JobName != nil
}

// traceURL is where people see a trace, or empty if that is not known.
func (p *page) traceURL(id string) string {
	return strings.ReplaceAll(p.dashboard.TraceURLTemplate, TraceIDPlace, id)
}

// showRun shows a run.
func showRun(p *page) error {
	id, err := p.id()
	if err != nil {
		return err
	}
	run, err := answers.Of[client.Run](p.GetRun(p.Context(), id))
	if err != nil {
		return err
	}
	shown := shownRun{Run: run}
	if err := p.addJob(&shown); err != nil {
		return err
	}
	// A retry is scheduled for when it was asked for, which is after its original.
	retries, err := answers.Of[client.RunPage](p.ListRuns(p.Context(), &client.ListRunsParams{
		JobId: &run.JobId, Trigger: &client.RunTriggers{client.RunTriggerRETRY}, From: &run.ScheduledFor, Limit: new(relatedRuns),
	}))
	if err != nil {
		return err
	}
	for _, other := range retries.Items {
		if other.RetryOf != nil && *other.RetryOf == run.Id {
			shown.retries = append(shown.retries, other)
		}
	}
	if err := p.addCaused(&shown); err != nil {
		return err
	}
	return p.show("Run of "+jobNameOf(run), runPage(p, shown))
}

// addCaused looks for the runs that events of a run have started, among those that were due soon
// after it happened. Groups of events start theirs later, and are not looked for.
func (p *page) addCaused(shown *shownRun) error {
	const soon = time.Minute
	from, to := shown.ScheduledFor, p.now
	if shown.FinishedAt != nil && shown.FinishedAt.Add(soon).Before(to) {
		to = shown.FinishedAt.Add(soon)
	}
	list, err := answers.Of[client.RunPage](p.ListRuns(p.Context(), &client.ListRunsParams{
		Trigger: &client.RunTriggers{client.RunTriggerEVENT}, From: &from, To: &to, Limit: new(client.Limit(200)),
	}))
	if err != nil {
		return err
	}
	for _, other := range list.Items {
		if other.CausedBy != nil && *other.CausedBy == shown.Id {
			shown.caused = append(shown.caused, other)
		}
	}
	return nil
}

// addJob adds the job of a run as it was for the last attempt, or as it is.
func (p *page) addJob(shown *shownRun) error {
	if shown.JobVersion != nil {
		version, err := answers.Of[client.JobVersion](p.GetJobVersion(p.Context(), shown.JobId, *shown.JobVersion))
		if err == nil {
			shown.job, shown.version = &version.Job, version.Version
			return nil
		}
		if !isAbsent(err) {
			return err
		}
	}
	job, err := answers.Of[client.Job](p.GetJob(p.Context(), shown.JobId))
	if isAbsent(err) {
		return nil // it is deleted
	}
	if err != nil {
		return err
	}
	shown.job, shown.version = &job, job.Version
	return nil
}

// isAbsent reports whether the API says that something does not exist.
func isAbsent(err error) bool {
	refused, is := errors.AsType[*answers.Refused](err)
	return is && refused.Status == http.StatusNotFound
}

// id is the id in the path of the page.
func (p *page) id() (uuid.UUID, error) {
	id, err := uuid.Parse(p.PathValue("id"))
	if err != nil {
		return id, notFound(p)
	}
	return id, nil
}

// retryRun retries a run, and shows the new one.
func retryRun(p *page) error {
	id, err := p.id()
	if err != nil {
		return err
	}
	retry, err := answers.Of[client.Run](p.RetryRun(p.Context(), id, &client.RetryRunParams{IdempotencyKey: p.once()}))
	if err != nil {
		return p.acted("", err)
	}
	p.say("This is the retry.")
	return p.redirect("/runs/" + retry.Id.String())
}

// cancelRun asks whoever executes a run to stop.
func cancelRun(p *page) error {
	id, err := p.id()
	if err != nil {
		return err
	}
	_, err = answers.Of[client.Run](p.CancelRun(p.Context(), id))
	return p.acted("The run will be canceled.", err)
}

// onceName is the field by which a form that is sent twice does its work once.
const onceName = "once"

// newOnce is a value of that field.
func newOnce() string { return "page-" + rand.Text() }

// once is the idempotency key of a form, or nil.
func (p *page) once() *string { return given(p.PostFormValue(onceName)) }

// target says in a line what executes a run.
func targetWords(target client.Target) string {
	value, err := target.ValueByDiscriminator()
	if err != nil {
		return ""
	}
	switch t := value.(type) {
	case client.HttpTarget:
		where := deref(t.Url)
		if t.Connection != nil {
			where = strings.TrimSpace("connection " + *t.Connection + " " + deref(t.Path))
		}
		method := client.HttpTargetMethodPOST
		if t.Method != nil {
			method = *t.Method
		}
		return string(method) + " " + where
	case client.WorkerTarget:
		return "a worker of the queue " + t.Queue
	default:
		return "the log of the service"
	}
}

// deref is the value of a pointer, or the zero value.
func deref[T any](value *T) (zero T) {
	if value == nil {
		return zero
	}
	return *value
}

// shownJSON writes JSON for people. Numbers and texts stay as they were given.
func shownJSON(raw []byte) string { return sanitize.Visible(indented(raw)) }

// escapes are characters that an answer of the API has escaped, for no reason that counts here.
var escapes = strings.NewReplacer(`\\`, `\\`, `\u003c`, "<", `\u003e`, ">", `\u0026`, "&")

// indented writes JSON with a line for each value, for people who edit it.
func indented(raw []byte) string {
	var out bytes.Buffer
	if json.Indent(&out, raw, "", "  ") != nil {
		return string(raw)
	}
	return escapes.Replace(out.String())
}

// shownOutput writes what a target has answered: JSON with its lines indented, or as it came.
func shownOutput(output string) string {
	if strings.HasPrefix(output, "{") || strings.HasPrefix(output, "[") {
		return shownJSON([]byte(output))
	}
	return sanitize.Visible(output)
}
