package ui

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"punctual/gen/client"
	"punctual/internal/answers"
	"punctual/internal/durations"
	"punctual/internal/sanitize"
)

// The values that the filters of runs offer.
var (
	runStatuses = []option{
		{"FAILED", "Failed"},
		{"RUNNING", "Running"},
		{"PENDING", "Pending"},
		{"SKIPPED", "Skipped"},
		{"CANCELED", "Canceled"},
		{"SUCCEEDED", "Succeeded"},
	}
	runReasons = []client.RunReasonGiven{
		client.RunReasonGivenMISFIRE, client.RunReasonGivenOVERLAP, client.RunReasonGivenLEASEEXPIRED,
		client.RunReasonGivenDEADLINEEXCEEDED, client.RunReasonGivenJOBPAUSED, client.RunReasonGivenJOBDELETED,
		client.RunReasonGivenREQUESTED, client.RunReasonGivenEVENTDEPTH,
	}
	runTriggers = []client.RunTrigger{
		client.RunTriggerSCHEDULE, client.RunTriggerMANUAL, client.RunTriggerBACKFILL, client.RunTriggerRETRY, client.RunTriggerEVENT,
	}
)

// runFilter is which runs are listed: parameters of a page, or fields of a form.
type runFilter struct {
	url.Values
	statuses  *client.RunStatuses
	reasons   *client.RunReasons
	triggers  *client.RunTriggers
	jobID     *uuid.UUID
	labels    *client.LabelSelector
	from, to  *time.Time
	ids       *[]uuid.UUID
	cursor    *string
	isLimited bool // whether there is any filter
}

// runFilterFields are the parameters of a filter, as the API names them.
var runFilterFields = []string{"status", "reason", "trigger", "jobId", "labelSelector", "from", "to", "ids"}

// readRunFilter reads a filter. What is none is refused.
func (p *page) readRunFilter(values url.Values) (f runFilter, err error) {
	f = runFilter{
		Values:   values,
		statuses: listed[client.RunStatus](values, "status"),
		reasons:  listed[client.RunReasonGiven](values, "reason"),
		triggers: listed[client.RunTrigger](values, "trigger"),
		labels:   given(strings.TrimSpace(values.Get("labelSelector"))),
		cursor:   given(values.Get("cursor")),
	}
	if f.from, err = p.instant("from", values.Get("from")); err != nil {
		return f, err
	}
	if f.to, err = p.instant("to", values.Get("to")); err != nil {
		return f, err
	}
	ids, err := idsOf(values, "ids")
	if err != nil {
		return f, err
	}
	if ids != nil {
		f.ids = &ids
	}
	jobs, err := idsOf(values, "jobId")
	if err != nil {
		return f, err
	}
	if len(jobs) > 0 {
		f.jobID = &jobs[0]
	}
	for _, name := range runFilterFields {
		f.isLimited = f.isLimited || values.Get(name) != ""
	}
	return f, nil
}

// idsOf reads the ids of a parameter.
func idsOf(values url.Values, name string) (ids []uuid.UUID, _ error) {
	texts := listed[string](values, name)
	if texts == nil {
		return nil, nil
	}
	for _, text := range *texts {
		id, err := uuid.Parse(text)
		if err != nil {
			return nil, wrongField(name, "is no id")
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// has reports whether a filter has a value.
func (f runFilter) has(name, value string) bool {
	values := listed[string](f.Values, name)
	return values != nil && slices.Contains(*values, value)
}

// query are the fields of the filter that are given.
func (f runFilter) query() url.Values {
	kept := url.Values{}
	for _, name := range runFilterFields {
		for _, value := range f.Values[name] {
			if value != "" {
				kept.Add(name, value)
			}
		}
	}
	return kept
}

// listRuns shows the runs of all jobs.
func listRuns(p *page) error {
	filter, err := p.readRunFilter(p.URL.Query())
	if err != nil {
		return err
	}
	list, err := answers.Of[client.RunPage](p.ListRuns(p.Context(), &client.ListRunsParams{
		Cursor: filter.cursor, Limit: new(itemsOfPage), Status: filter.statuses, Reason: filter.reasons, Trigger: filter.triggers,
		JobId: filter.jobID, LabelSelector: filter.labels, From: filter.from, To: filter.to,
	}))
	if err != nil {
		return err
	}
	return p.show("Runs", runsPage(p, filter, list))
}

// jobNameOf is what the job of a run is called.
func jobNameOf(run client.Run) string {
	switch {
	case run.JobName != nil:
		return *run.JobName
	case run.JobKey != nil:
		return *run.JobKey
	default:
		return "a deleted job"
	}
}

// runWhy says in a line why a run has its status, or what it waits for.
func runWhy(run client.Run) string {
	var parts []string
	if run.Reason != nil {
		parts = append(parts, words(string(*run.Reason)))
	}
	if run.StatusReason != nil {
		parts = append(parts, *run.StatusReason)
	}
	if run.Error != nil {
		parts = append(parts, firstLine(*run.Error))
	}
	if run.WaitingFor != nil {
		parts = append(parts, "Waits for "+waitsFor[*run.WaitingFor])
	}
	return strings.Join(parts, ": ")
}

// waitsFor says what a run waits for.
var waitsFor = map[client.RunWaitingFor]string{
	client.RunWaitingForWORKER: "a worker", client.RunWaitingForCONNECTION: "its connection",
	client.RunWaitingForCONCURRENCYGROUP: "its concurrency group", client.RunWaitingForTIME: "its time",
}

// firstLine is the first line of a text from anywhere, cut if it is long.
func firstLine(text string) string {
	const most = 160 // bytes
	line := sanitize.FirstLine(strings.TrimSpace(text))
	if short := sanitize.Cut(line, most); short != line {
		line = short + "…"
	}
	return sanitize.Visible(line)
}

// milliseconds writes a duration that the API gives in milliseconds, or a dash.
func milliseconds(ms *int64) string {
	if ms == nil {
		return "–"
	}
	return exact(time.Duration(*ms) * time.Millisecond)
}

// exact writes a duration with as much of it as people want to know: 1.24 s, 3m12s.
func exact(d time.Duration) string {
	switch {
	case d < time.Second:
		return durations.Short(d)
	case d < time.Minute:
		return d.Round(10 * time.Millisecond).String()
	default:
		return durations.Interval(d.Round(time.Second))
	}
}
