package ui

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"

	"punctual/gen/client"
)

// jobFilter is which jobs a list shows. Its fields are parameters of the URL, by the names that
// they have in the API; those that can have several values have them separated by commas, or are
// given several times. q is what is in the one box for all.
type jobFilter struct{ url.Values }

// The choices of filters.
var (
	jobHealths = []option{
		{"FAILING", "Failing"}, {"LATE", "Late"}, {"OK", "OK"}, {"NEVER_RAN", "Never ran"}, {"PAUSED", "Paused"}, {"COMPLETED", "Completed"},
	}
	endedStatuses = []option{{"SUCCEEDED", "Succeeded"}, {"FAILED", "Failed"}, {"SKIPPED", "Skipped"}, {"CANCELED", "Canceled"}}
	targetTypes   = []option{{"", "Any"}, {"http", "HTTP"}, {"worker", "Worker"}, {"log", "Log"}}
	jobSorts      = []option{{"", "Newest first"}, {"name", "Name"}, {"nextRunAt", "Next run"}}
)

var (
	keyText     = regexp.MustCompile(`^[a-z0-9][a-z0-9._/-]*$`)
	labelMarks  = regexp.MustCompile(`[=!,]|\s(in|notin)\s*\(`)
	minNamePart = 3 // letters
)

// list returns the values of a field that can have several.
func (f jobFilter) list(name string) []string { return deref(listed[string](f.Values, name)) }

// box says what is searched for by what stands in the box: a field of the API and its value. A text
// with =, a comma or ! selects labels; one with a slash, or of one or two letters, is the beginning
// of a key; another one is a part of a name. An id finds its job.
func (f jobFilter) box() (field, value string) {
	text := strings.TrimSpace(f.Get("q"))
	_, err := uuid.Parse(text)
	switch {
	case text == "":
		return "", ""
	case err == nil:
		return "id", text
	case labelMarks.MatchString(text):
		return "labelSelector", text
	case keyText.MatchString(text) && (strings.Contains(text, "/") || len(text) < minNamePart):
		return "keyPrefix", text
	default:
		return "name", text
	}
}

// said says what the box is taken for.
func (f jobFilter) said() string {
	switch field, value := f.box(); field {
	case "id":
		return "The job with this id."
	case "labelSelector":
		return "Jobs whose labels match " + value + "."
	case "keyPrefix":
		return "Jobs whose key begins with " + value + "."
	case "name":
		if len([]rune(value)) < minNamePart {
			return "A part of a name has three letters at least."
		}
		return "Jobs whose name contains " + value + "."
	default:
		return ""
	}
}

// text returns the value of a field, be it from the box or from its own field.
func (f jobFilter) text(name string) *string {
	if field, value := f.box(); field == name && (name != "name" || len([]rune(value)) >= minNamePart) {
		return &value
	}
	return given(strings.TrimSpace(f.Get(name)))
}

// selector returns the filter as bulk changes take it.
func (f jobFilter) selector() (s client.JobSelector) {
	s = client.JobSelector{
		Name: f.text("name"), KeyPrefix: f.text("keyPrefix"), LabelSelector: f.text("labelSelector"), Queue: f.text("queue"),
		Connection:       f.text("connection"),
		ConcurrencyGroup: f.text("concurrencyGroup"), TargetType: (*client.JobTargetType)(f.text("targetType")),
		Status: listed[client.JobStatus](f.Values, "status"), Health: listed[client.JobHealth](f.Values, "health"),
		LastRunStatus: listed[client.EndedRunStatus](f.Values, "lastRunStatus"),
	}
	if id, err := uuid.Parse(f.Get("pauseId")); err == nil {
		s.PauseId = &id
	}
	if field, value := f.box(); field == "id" {
		s.Ids = &[]uuid.UUID{uuid.MustParse(value)}
	}
	return s
}

// params returns the filter as lists take it.
func (f jobFilter) params() *client.ListJobsParams {
	s := f.selector()
	return &client.ListJobsParams{
		Name: s.Name, KeyPrefix: s.KeyPrefix, LabelSelector: s.LabelSelector, Queue: s.Queue, Connection: s.Connection, ConcurrencyGroup: s.ConcurrencyGroup,
		TargetType: s.TargetType, Status: s.Status, Health: s.Health, LastRunStatus: s.LastRunStatus, PauseId: s.PauseId,
		Cursor: given(f.Get("cursor")), Sort: given(client.JobSort(f.Get("sort"))), Limit: new(itemsOfPage),
	}
}

// isSet reports whether the filter leaves anything out.
func (f jobFilter) isSet() bool { return f.selector() != (client.JobSelector{}) }

// hasMore reports whether fields are set that are not always shown.
func (f jobFilter) hasMore() bool {
	for _, name := range []string{
		"name", "keyPrefix", "labelSelector", "queue", "connection", "concurrencyGroup", "targetType", "lastRunStatus", "pauseId", "status",
	} {
		if f.Get(name) != "" {
			return true
		}
	}
	return false
}

// clean returns the path of the list without fields that are empty, and with lists in one field.
func (f jobFilter) clean() string {
	kept := url.Values{}
	for name := range f.Values {
		if all := f.list(name); slices.Contains([]string{"health", "status", "lastRunStatus"}, name) && len(all) > 0 {
			kept.Set(name, strings.Join(all, ","))
		} else if value := f.Get(name); value != "" {
			kept.Set(name, value)
		}
	}
	if len(kept) == 0 {
		return "/jobs"
	}
	return "/jobs?" + kept.Encode()
}
