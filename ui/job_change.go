package ui

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"

	"punctual/gen/client"
	"punctual/internal/answers"
	"punctual/internal/jobfiles"
)

// jobChange is what a form of a job changes: the fields whose texts are not as they were.
type jobChange struct {
	p *page
	// before are the fields of the form as it was shown, and after as it was sent.
	before, after url.Values
	// isNew says that there is no job yet: what is not given has its default.
	isNew  bool
	faults []client.FieldError
}

// textsOf returns the fields of the form for the fields of a job.
func textsOf(p *page, job map[string]json.RawMessage) url.Values {
	texts := url.Values{}
	show := func(prefix string, fields []jobField, from map[string]json.RawMessage) {
		for _, f := range fields {
			if raw := from[f.name]; !isNull(raw) {
				texts.Set(prefix+f.name, f.as.show(p, raw))
			}
		}
	}
	show("", jobFields, job)
	for kind, fields := range scheduleFields {
		show("", fields, job)
		if raw := job[kind]; !isNull(raw) && string(raw) != "false" {
			texts.Set("schedule", kind)
		}
	}
	var target map[string]json.RawMessage
	_ = json.Unmarshal(job["target"], &target) // a job always has one
	kind := showText(p, target["type"])
	texts.Set("target.type", kind)
	show("target.", targetFields[kind], target)
	var on client.StartsOn
	if !isNull(job["startsOn"]) && json.Unmarshal(job["startsOn"], &on) == nil {
		startsOnTexts(texts, on)
	}
	return texts
}

// blankTexts are the fields of the form of a new job: the defaults of the contract.
func blankTexts(p *page) url.Values {
	defaults := map[string]json.RawMessage{}
	maps.Copy(defaults, jobfiles.Contract().Defaults)
	texts := textsOf(p, defaults)
	texts.Set("target.type", "http")
	texts.Set("target.method", "POST")
	texts.Set("schedule", "cron")
	return texts
}

func (c *jobChange) isChanged(name string) bool {
	return entered(c.before, name) != entered(c.after, name)
}

// value is what is entered in a field, for the API.
func (c *jobChange) value(f jobField, prefix string) any {
	text := entered(c.after, prefix+f.name)
	if text == "" {
		return f.as.empty
	}
	value, wrong := f.as.read(c.p, text)
	if wrong != "" {
		c.faults = append(c.faults, client.FieldError{In: client.FieldErrorInBody, Field: prefix + f.name, Code: "wrong-format", Detail: wrong})
	}
	return c.without(value, f, prefix)
}

// without adds nulls for the names that an object had before: a change merges objects.
func (c *jobChange) without(value any, f jobField, prefix string) any {
	pairs, is := value.(map[string]*string)
	if !is || c.isNew {
		return value
	}
	before, _ := f.as.read(c.p, entered(c.before, prefix+f.name))
	for name := range asPairsOf(before) {
		if _, isKept := pairs[name]; !isKept {
			pairs[name] = nil
		}
	}
	return pairs
}

func asPairsOf(value any) map[string]*string {
	pairs, _ := value.(map[string]*string)
	return pairs
}

// add adds the fields that are changed, or all that are not empty.
func (c *jobChange) add(to map[string]any, fields []jobField, prefix string, isWhole bool) {
	for _, f := range fields {
		_, isSent := c.after[prefix+f.name]
		isSent = isSent || f.as.empty == false // a box that is not checked is not sent
		if isWhole && entered(c.after, prefix+f.name) != "" || !isWhole && isSent && c.isChanged(prefix+f.name) {
			to[f.name] = c.value(f, prefix)
		}
	}
}

// body returns what to send: the fields that are changed. Errors say at their fields what cannot
// be sent.
func (c *jobChange) body() (map[string]any, error) {
	body := map[string]any{}
	c.add(body, jobFields, "", false)
	if c.isNew {
		body["name"] = c.after.Get("name")
		if key := entered(c.after, "key"); key != "" {
			body["key"] = key
		}
	}
	c.schedule(body)
	if target := c.target(); len(target) > 0 {
		body["target"] = target
	}
	if c.faults != nil {
		return nil, &answers.Refused{Problem: client.Problem{
			Status: http.StatusBadRequest, Code: "invalid-request", Title: "Bad Request", Detail: "Some fields cannot be sent as they are.",
			Errors: &c.faults,
		}}
	}
	return body, nil
}

// schedule adds the schedule, whole if it is of another kind.
func (c *jobChange) schedule(body map[string]any) {
	kind := c.after.Get("schedule")
	isOther := c.isNew || c.isChanged("schedule")
	c.add(body, scheduleFields[kind], "", isOther)
	switch kind {
	case "onDemand":
		if isOther {
			body[kind] = true
		}
	case "startsOn":
		if isOther || c.isChangedStart() {
			body[kind] = c.startsOn()
		}
	default:
		if _, is := body[kind]; isOther && !is && scheduleFields[kind] != nil {
			body[kind] = nil // the API says that it is missing
		}
	}
}

// target returns the target, whole if it is of another type. Secrets that are not given stay.
func (c *jobChange) target() map[string]any {
	target := map[string]any{}
	kind := c.after.Get("target.type")
	isWhole := c.isNew || c.isChanged("target.type")
	c.add(target, targetFields[kind], "target.", isWhole)
	if isWhole {
		target["type"] = kind
	}
	for _, name := range []string{"secretHeaders", "signingSecrets"} {
		if !isWhole && c.after.Get("remove."+name) == "true" {
			target[name] = nil
		}
	}
	return target
}
