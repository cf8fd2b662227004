package ui

import (
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"punctual/gen/client"
	"punctual/internal/answers"
	"punctual/internal/schedule"
	"punctual/internal/schedulewords"
)

// jobForm is the form of a job: a new one, a copy of another, or a change.
type jobForm struct {
	*form
	// job is what is changed; nil for a new job.
	job *client.Job
	// copyOf is the job that a new one is made like.
	copyOf *client.Job
	// secrets are those that are set.
	secrets []string
	preview *preview
	// now is the version of the job, if it is not the one that the form was opened for.
	now *client.Job
}

// preview is when a schedule would be due.
type preview struct {
	words    string
	isSeeded bool
	items    []client.Occurrence
	zone     string
	// wrong is what the API refuses of the schedule.
	wrong *form
}

// newJob shows the form of a new job, empty or like another job.
func newJob(p *page) error {
	f := jobForm{form: &form{Values: blankTexts(p)}}
	if of := p.URL.Query().Get("copy"); of != "" {
		id, err := uuid.Parse(of)
		if err != nil {
			return notFound(p)
		}
		job, fields, err := p.jobByID(id)
		if err != nil {
			return err
		}
		f.Values, f.copyOf = textsOf(p, fields), &job
		f.Set("name", "Copy of "+job.Name)
	}
	f.Set(onceName, newOnce())
	f.preview = p.previewOf(f.Values)
	return f.show(p)
}

func (f jobForm) title() string {
	if f.job != nil {
		return "Edit " + f.job.Name
	}
	return "New job"
}

func (f jobForm) path() string {
	if f.job != nil {
		return jobPath(*f.job) + "/edit"
	}
	return "/jobs/new"
}

func (f jobForm) show(p *page) error { return p.show(f.title(), jobFormPage(p, f)) }

// createJob creates a job, or previews its schedule.
func createJob(p *page) error {
	sent, err := p.readForm()
	if err != nil {
		return err
	}
	f := jobForm{form: sent}
	if sent.Get("do") == "preview" {
		f.preview = p.previewOf(sent.Values)
		return f.show(p)
	}
	change := jobChange{p: p, before: blankTexts(p), after: sent.Values, isNew: true}
	body, err := change.body()
	var job client.Job
	if err == nil {
		job, err = answers.Of[client.Job](p.CreateJobWithBody(p.Context(), &client.CreateJobParams{IdempotencyKey: p.once()}, jsonType, jsonBody(body)))
	}
	if err != nil {
		return f.refuse(p, err)
	}
	p.say("The job is created.")
	return p.redirect(jobPath(job))
}

// refuse shows the form again with what is wrong, if the API has refused its values.
func (f jobForm) refuse(p *page, err error) error {
	if !f.refused(p, err) {
		return err
	}
	f.Set(onceName, newOnce()) // the form will be another request
	if f.preview = p.previewOf(f.Values); f.preview != nil && f.preview.wrong.problem != nil {
		f.preview = nil // the same stands at the field
	}
	return f.show(p)
}

// editJob shows the form of a job.
func editJob(p *page) error {
	job, fields, err := p.readJob()
	if err != nil {
		return err
	}
	f := jobForm{form: &form{Values: textsOf(p, fields)}, job: &job, secrets: job.TargetSecrets}
	f.Set("version", strconv.Itoa(int(job.Version)))
	f.preview = p.previewOf(f.Values)
	return f.show(p)
}

// saveJob changes what the form changes, and no other field. If the job has another version by now
// than the form was opened for, nothing is changed, unless that was seen.
func saveJob(p *page) error {
	job, _, err := p.readJob()
	if err != nil {
		return err
	}
	sent, err := p.readForm()
	if err != nil {
		return err
	}
	f := jobForm{form: sent, job: &job, secrets: job.TargetSecrets}
	if sent.Get("do") == "preview" {
		f.preview = p.previewOf(sent.Values)
		return f.show(p)
	}
	version, err := strconv.ParseInt(sent.Get("version"), 10, 32)
	if err != nil {
		return badForm(errors.New("it has no version"))
	}
	saved, err := f.save(p, int32(version))
	if answers.IsRefused(err, "version-changed") {
		f.now = &job
	}
	if err != nil {
		return f.refuse(p, err)
	}
	if saved.Version == job.Version {
		p.say("Nothing is changed.")
	} else {
		p.say("The job is saved as version " + strconv.Itoa(int(saved.Version)) + ".")
	}
	return p.redirect(jobPath(job))
}

// save sends what differs from the version that the form was opened for.
func (f jobForm) save(p *page, version int32) (saved client.Job, err error) {
	base, err := answers.Of[struct {
		Job map[string]json.RawMessage `json:"job"`
	}](p.GetJobVersion(p.Context(), f.job.Id, version))
	if err != nil {
		return saved, err
	}
	change := jobChange{p: p, before: textsOf(p, base.Job), after: f.Values}
	body, err := change.body()
	if err != nil {
		return saved, err
	}
	if len(body) == 0 {
		return *f.job, nil
	}
	if over, err := strconv.ParseInt(f.Get("over"), 10, 32); err == nil {
		version = int32(over)
	}
	params := &client.UpdateJobParams{IfMatch: new(etag(version))}
	return answers.Of[client.Job](p.UpdateJobWithBody(p.Context(), f.job.Id, params, jsonType, jsonBody(body)))
}

// jobByID reads a job, and its fields as they came.
func (p *page) jobByID(id uuid.UUID) (job client.Job, fields map[string]json.RawMessage, err error) {
	fields, err = answers.Of[map[string]json.RawMessage](p.GetJob(p.Context(), id))
	if err != nil {
		return job, nil, err
	}
	raw, err := json.Marshal(fields)
	if err == nil {
		err = json.Unmarshal(raw, &job)
	}
	job.Payload = fields["payload"] // byte for byte
	return job, fields, err
}

// previewShown is how many instants a preview has.
const previewShown = 5

// previewOf asks when the schedule of a form would be due; nil if it has no instants by itself.
func (p *page) previewOf(values url.Values) *preview {
	change := jobChange{p: p, before: url.Values{}, after: values, isNew: true}
	kind := values.Get("schedule")
	if !slices.Contains([]string{"cron", "rrule", "intervalInSeconds", "runAt"}, kind) || entered(values, kind) == "" {
		return nil
	}
	body := map[string]any{}
	change.schedule(body)
	for _, f := range jobFields {
		if slices.Contains([]string{"startAt", "endAt", "skipOn", "onlyOn", "onSkipped"}, f.name) {
			change.add(body, []jobField{f}, "", true)
		}
	}
	body["count"] = previewShown
	shown := preview{zone: entered(values, "timeZone")}
	if kind == "cron" {
		shown.words, shown.isSeeded = schedulewords.Cron(entered(values, kind)), schedule.IsSeeded(entered(values, kind))
	}
	var err error
	if change.faults == nil {
		var list client.OccurrenceList
		list, err = answers.Of[client.OccurrenceList](p.PreviewScheduleWithBody(p.Context(), jsonType, jsonBody(body)))
		shown.items = list.Items
	} else {
		err = wrongField(change.faults[0].Field, change.faults[0].Detail)
	}
	status := p.status
	if shown.wrong = (&form{}); err != nil && !shown.wrong.refused(p, err) {
		return nil // what is shown beside the form is not worth an error
	}
	p.status = status
	return &shown
}

// showPreview answers the part of the form that says when the schedule is due.
func showPreview(p *page) error {
	sent, err := p.readForm()
	if err != nil {
		return err
	}
	return p.showPart(previewPart(p, p.previewOf(sent.Values)))
}
