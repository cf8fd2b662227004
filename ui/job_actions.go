package ui

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"punctual/gen/client"
	"punctual/internal/answers"
)

// question is a page with a form about a job: what it is about is asked before it is done.
type question struct {
	client.Job
	form *form
	// count is what a backfill would start, once it was counted.
	count *client.Backfill
}

// ask shows the form of an action, with what its fields have at first.
func ask(fields func(*page, client.Job) map[string]string, show func(*page, question) error) func(*page) error {
	return func(p *page) error {
		job, _, err := p.readJob()
		if err != nil {
			return err
		}
		q := question{Job: job, form: &form{Values: map[string][]string{}}}
		if fields != nil {
			for name, value := range fields(p, job) {
				q.form.Set(name, value)
			}
		}
		return show(p, q)
	}
}

// answer takes the form of an action. Where the API refuses it, the form is shown again.
func answer(do func(*page, *question) error, show func(*page, question) error) func(*page) error {
	return func(p *page) error {
		job, _, err := p.readJob()
		if err != nil {
			return err
		}
		q := question{Job: job}
		if q.form, err = p.readForm(); err != nil {
			return err
		}
		if err = do(p, &q); err == nil && q.count == nil {
			return nil // it has redirected
		}
		if err != nil && !q.form.refused(p, err) {
			return err
		}
		return show(p, q)
	}
}

func showPause(p *page, q question) error    { return p.show("Pause "+q.Name, pausePage(p, q)) }
func showRunWith(p *page, q question) error  { return p.show("Run "+q.Name, runWithPage(p, q)) }
func showBackfill(p *page, q question) error { return p.show("Backfill "+q.Name, backfillPage(p, q)) }
func showDelete(p *page, q question) error   { return p.show("Delete "+q.Name, deletePage(p, q)) }

// pauseJob pauses a job, with a reason and until an instant if these are given.
func pauseJob(p *page, q *question) error {
	until, err := p.instant("pauseUntil", q.form.Get("pauseUntil"))
	if err != nil {
		return err
	}
	_, err = answers.Of[client.Job](p.UpdateJob(p.Context(), q.Id, nil, client.JobUpdate{
		Status: new(client.JobUpdateStatusPAUSED), StatusReason: given(q.form.Get("statusReason")), PauseUntil: until,
	}))
	if err != nil {
		return err
	}
	p.say("The job is paused.")
	return p.redirect(jobPath(q.Job))
}

// payloadField is the payload of a job as the form of a run has it at first.
func payloadField(_ *page, job client.Job) map[string]string {
	return map[string]string{"payload": indented(job.Payload)}
}

// runWith starts a run with a payload of its own, or later, and shows the run.
func runWith(p *page, q *question) error {
	body := map[string]any{}
	payload := unixLines(q.form.Get("payload"))
	switch {
	case strings.TrimSpace(payload) == "" || payload == indented(q.Payload): // that of the job
	case !json.Valid([]byte(payload)):
		return wrongField("payload", "is no JSON: a text stands in quotes")
	default:
		body["payload"] = json.RawMessage(payload)
	}
	startAt, err := p.instant("startAt", q.form.Get("startAt"))
	if err != nil {
		return err
	}
	if startAt != nil {
		body["startAt"] = startAt
	}
	if policy := q.form.Get("overlapPolicy"); policy != "" {
		body["overlapPolicy"] = policy
	}
	run, err := answers.Of[client.Run](p.RunJobWithBody(p.Context(), q.Id, &client.RunJobParams{IdempotencyKey: p.once()}, jsonType, jsonBody(body)))
	if err != nil {
		return err
	}
	p.say("The run was requested.")
	return p.redirect("/runs/" + run.Id.String())
}

// deleteJob deletes a job, if it is still as it was when that was asked.
func deleteJob(p *page, q *question) error {
	err := answers.Done(p.DeleteJob(p.Context(), q.Id, &client.DeleteJobParams{IfMatch: given(q.form.Get("version"))}))
	if err != nil {
		return err
	}
	p.say("The job " + q.Name + " is deleted.")
	return p.redirect("/jobs")
}

// versionField is the version of a job, for If-Match.
func versionField(_ *page, job client.Job) map[string]string {
	return map[string]string{"version": etag(job.Version)}
}

const jsonType = "application/json"

// jsonBody is a body of JSON values, which are not changed on the way.
func jsonBody(body map[string]any) *bytes.Buffer {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(body) // what is raw in it is valid
	return &out
}

// unixLines has lines as people mean them: browsers end them with CR LF.
func unixLines(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }

// etag is a version as If-Match has it.
func etag(version int32) string { return strconv.Quote(strconv.Itoa(int(version))) }
