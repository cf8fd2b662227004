package ui

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"punctual/gen/client"
	"punctual/internal/durations"
)

type problemDetails = client.Problem

// kind is what a state means: its colour and its sign.
type kind string

const (
	good    kind = "good"
	bad     kind = "bad"
	warning kind = "warning"
	busy    kind = "busy"
	quiet   kind = "quiet"
	skipped kind = "skipped"
)

// sign is what a kind looks like without colours.
func (k kind) sign() string {
	switch k {
	case good:
		return "✓"
	case bad:
		return "✕"
	case warning:
		return "!"
	case busy:
		return "▶"
	case skipped:
		return "»"
	case quiet:
		return "○"
	default:
		return "·"
	}
}

// runKind returns what a status of a run means.
func runKind(status client.RunStatus) kind {
	switch status {
	case client.RunStatusSUCCEEDED:
		return good
	case client.RunStatusFAILED:
		return bad
	case client.RunStatusRUNNING:
		return busy
	case client.RunStatusSKIPPED:
		return skipped
	case client.RunStatusCANCELED, client.RunStatusPENDING:
		return quiet
	default:
		return quiet
	}
}

// words writes a value of an enumeration for people: LEASE_EXPIRED is "Lease expired".
func words(value string) string {
	if value == "" {
		return ""
	}
	text := strings.ToLower(strings.ReplaceAll(value, "_", " "))
	return strings.ToUpper(text[:1]) + text[1:]
}

// zoneKind says in which zone an instant is shown: "browser", "job" or "utc". An instant that
// belongs to no job is in the browser's instead of the job's.
func (p *page) zoneKind(jobZone string) string {
	switch {
	case p.prefers.zone == "utc":
		return "utc"
	case p.prefers.zone == "job" && locationOf(jobZone) != nil:
		return "job"
	default:
		return "browser"
	}
}

// locationFor is the zone that was chosen. As long as that of the browser is not known, it is UTC.
func (p *page) locationFor(jobZone string) *time.Location {
	switch p.zoneKind(jobZone) {
	case "job":
		return locationOf(jobZone)
	case "browser":
		if p.prefers.browser != nil {
			return p.prefers.browser
		}
	}
	return time.UTC
}

// at writes an instant in the zone that was chosen, and the zone beside it.
func (p *page) at(t time.Time, jobZone string) string {
	return t.In(p.locationFor(jobZone)).Format("2006-01-02 15:04:05 MST")
}

// fromNow says how far away an instant is.
func (p *page) fromNow(t time.Time) string { return durations.FromNow(t.Sub(p.now)) }

// with returns the path of the page with a parameter of its query changed. An empty value removes
// it. Any other change than of the cursor begins the list anew.
func (p *page) with(name, value string) string {
	query := p.URL.Query()
	if name != "cursor" {
		query.Del("cursor")
	}
	query.Set(name, value)
	if value == "" {
		query.Del(name)
	}
	if len(query) == 0 {
		return p.URL.Path
	}
	return p.URL.Path + "?" + query.Encode()
}

// fieldAttributes connects what is entered with its label, hint and errors.
func fieldAttributes(f *form, name, hint string) templ.Attributes {
	describedBy := name + "-wrong"
	if hint != "" {
		describedBy = name + "-hint " + describedBy
	}
	attributes := templ.Attributes{"id": name, "name": name, "aria-describedby": describedBy}
	if len(f.errors(name)) > 0 {
		attributes["aria-invalid"] = "true"
	}
	return attributes
}

// healthKind returns what the health of a job means.
func healthKind(health client.JobHealth) kind {
	switch health {
	case client.JobHealthOK:
		return good
	case client.JobHealthFAILING:
		return bad
	case client.JobHealthLATE:
		return warning
	case client.JobHealthPAUSED, client.JobHealthCOMPLETED, client.JobHealthNEVERRAN:
		return quiet
	default:
		return quiet
	}
}

func healthText(health client.JobHealth) string {
	if health == client.JobHealthOK {
		return "OK"
	}
	return words(string(health))
}

// sortedLabels writes labels as selectors have them, in the order of their names.
func sortedLabels(labels client.Labels) (all []string) {
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		all = append(all, name+"="+labels[name])
	}
	return all
}

// jobsWith is the path of the jobs that a field of the filter selects.
func jobsWith(field, value string) string { return "/jobs?" + url.Values{field: {value}}.Encode() }

func jobPath(job client.Job) string { return "/jobs/" + job.Id.String() }

// zoneOf is the zone of the schedule of a job.
func zoneOf(job client.Job) string {
	if job.TimeZone == nil {
		return "UTC"
	}
	return *job.TimeZone
}

func escapeQuery(text string) string { return url.QueryEscape(text) }
