package executor

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"punctual/internal/placeholders"
)

// fill puts the values of a run in the place of the placeholders of the URL, the path, the headers
// and the body. It returns the fields that are wrong.
func (d *httpDefinition) fill(values placeholders.Values) (faults []Fault) {
	fault := func(field, code string, err error) {
		if err != nil {
			faults = append(faults, Fault{field, code, err.Error()})
		}
	}
	for field, text := range map[string]*string{"url": &d.URL, "path": &d.Path} {
		if placeholders.In(*text) {
			filled, err := fillURL(*text, values)
			fault(field, WrongFormat, err)
			*text = filled
		}
	}
	contentType := ""
	for _, name := range slices.Sorted(maps.Keys(d.Headers)) {
		value := d.Headers[name]
		if http.CanonicalHeaderKey(name) == "Content-Type" {
			contentType = value
		}
		if placeholders.In(value) {
			template, err := placeholders.Header(value)
			fault("headers."+name, WrongFormat, err)
			if err == nil {
				d.Headers[name] = template.Fill(values)
			}
		}
	}
	if d.Body != nil && placeholders.In(*d.Body) {
		template, err := placeholders.Body(*d.Body, contentType)
		fault("body", WrongFormat, err)
		if err == nil {
			d.Body = new(template.Fill(values))
		}
	}
	return faults
}

func fillURL(text string, values placeholders.Values) (string, error) {
	template, err := placeholders.URL(text)
	if err != nil {
		return "", err
	}
	return template.FillURL(values)
}

// values are what the placeholders of a run's target stand for. The payload of a run that an event
// has started is the event.
func (r *Run) values() placeholders.Values {
	return placeholders.Values{
		RunID: r.ID, ScheduledFor: r.ScheduledFor, Attempt: r.Attempt, JobID: r.JobID, JobKey: r.JobKey, JobName: r.JobName,
		Event: r.Payload,
	}
}

// FieldsOfEvents returns the names of the fields of a target that have placeholders of an event. A
// target that has none of them, or that is no definition, has none.
func FieldsOfEvents(definition json.RawMessage) (fields []string) {
	if !placeholders.In(string(definition)) {
		return nil
	}
	def, _, err := decodeHTTP(definition, nil)
	if err != nil {
		return nil
	}
	add := func(field string, template placeholders.Template, err error) {
		if err == nil && template.IsFilledByEvents() {
			fields = append(fields, field)
		}
	}
	of, err := placeholders.URL(def.URL)
	add("url", of, err)
	of, err = placeholders.URL(def.Path)
	add("path", of, err)
	for _, name := range slices.Sorted(maps.Keys(def.Headers)) {
		of, err := placeholders.Header(def.Headers[name])
		add("headers."+name, of, err)
	}
	if def.Body != nil {
		of, err := placeholders.Body(*def.Body, "")
		add("body", of, err)
	}
	return fields
}
