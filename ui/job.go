package ui

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"punctual/gen/client"
	"punctual/internal/answers"
	"punctual/internal/jobfiles"
)

const (
	// upcomingShown is how many of the next occurrences a page shows.
	upcomingShown = 8
	// versionsShown is how many versions the page of a job shows. The others have a page.
	versionsShown = 5
)

// shownJob is a job with all that its page shows.
type shownJob struct {
	client.Job
	upcoming []client.Occurrence
	runs     client.RunPage
	versions client.JobVersionPage
	// yaml and curl are its definition: for a file, and as a request that creates it.
	yaml, curl string
}

// readJob reads the job of the path, and its fields as they came.
func (p *page) readJob() (job client.Job, fields map[string]json.RawMessage, err error) {
	id, err := p.id()
	if err != nil {
		return job, nil, err
	}
	return p.jobByID(id)
}

// showJob shows a job: how it is now, what is next, its runs, versions and definition.
func showJob(p *page) error {
	job, fields, err := p.readJob()
	if err != nil {
		return err
	}
	shown := shownJob{Job: job}
	upcoming, err := answers.Of[client.OccurrenceList](p.ListUpcoming(p.Context(), job.Id, &client.ListUpcomingParams{
		Count: new(client.OccurrenceCount(upcomingShown)),
	}))
	if err != nil {
		return err
	}
	shown.upcoming = upcoming.Items
	shown.runs, err = answers.Of[client.RunPage](p.ListJobRuns(p.Context(), job.Id, &client.ListJobRunsParams{
		Cursor: p.cursor(), Limit: new(itemsOfPage),
	}))
	if err != nil {
		return err
	}
	shown.versions, err = answers.Of[client.JobVersionPage](p.ListJobVersions(p.Context(), job.Id, &client.ListJobVersionsParams{
		Limit: new(client.Limit(versionsShown)),
	}))
	if err != nil {
		return err
	}
	if err := shown.define(p, fields); err != nil {
		return err
	}
	return p.show(job.Name, jobPage(p, shown))
}

// define writes the definition, as files and requests have it.
func (j *shownJob) define(p *page, fields map[string]json.RawMessage) error {
	yaml, err := jobfiles.YAML(fields)
	if err != nil {
		return fmt.Errorf("write the definition of a job: %w", err)
	}
	body, err := jobfiles.JSON(fields)
	if err != nil {
		return fmt.Errorf("write the definition of a job: %w", err)
	}
	j.yaml = string(yaml)
	j.curl = p.curl("POST", "/api/v1/jobs", indented(body))
	return nil
}

// curl writes a request as a command for a shell. The key is not in it.
func (p *page) curl(method, path, body string) string {
	lines := []string{"curl -X " + method + " " + quotedForShell(p.publicURL(path))}
	if p.caller.Actor != "anonymous" {
		lines = append(lines, `-H "Authorization: Bearer $PUNCTUAL_KEY"`)
	}
	if p.caller.IsServiceWide && p.caller.Namespace != "default" {
		lines = append(lines, "-H "+quotedForShell("Punctual-Namespace: "+p.caller.Namespace))
	}
	lines = append(lines, "-H 'Content-Type: application/json'", "-d "+quotedForShell(body))
	return strings.Join(lines, " \\\n  ")
}

func quotedForShell(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// runChart is what the charts of a job draw: a value for each run, oldest first.
type runChart struct {
	X      []float64     `json:"x"`
	Series []chartSeries `json:"series"`
}

type chartSeries struct {
	Label  string     `json:"label"`
	Kind   kind       `json:"kind"`
	Unit   string     `json:"unit"`
	IsBars bool       `json:"isBars"`
	Values []*float64 `json:"values"`
}

// chartOf draws a figure of the runs that have one, in milliseconds. Those that failed have another
// colour. It is empty if there is too little to draw.
func chartOf(runs []client.Run, figure func(client.Run) *int64) string {
	var largest int64
	var drawn []client.Run
	for _, r := range slices.Backward(runs) {
		if ms := figure(r); ms != nil && r.FinishedAt != nil {
			largest = max(largest, *ms)
			drawn = append(drawn, r)
		}
	}
	unit, size := " ms", 1.0
	if largest >= 10_000 {
		unit, size = " s", 1000
	}
	chart := runChart{Series: []chartSeries{
		{Label: "Succeeded", Kind: good, Unit: unit, IsBars: true}, {Label: "Did not succeed", Kind: bad, Unit: unit, IsBars: true},
	}}
	for _, r := range drawn {
		value := new(float64(*figure(r)) / size)
		values := []*float64{nil, value}
		if r.Status == client.RunStatusSUCCEEDED {
			values = []*float64{value, nil}
		}
		chart.X = append(chart.X, float64(r.ScheduledFor.UnixMilli())/1000)
		for n := range chart.Series {
			chart.Series[n].Values = append(chart.Series[n].Values, values[n])
		}
	}
	if len(chart.X) < 2 {
		return ""
	}
	text, err := json.Marshal(chart)
	if err != nil {
		return "" // a chart has numbers and texts only
	}
	return string(text)
}

func durationOf(r client.Run) *int64 { return r.DurationMilliseconds }
func latenessOf(r client.Run) *int64 { return r.LatenessMilliseconds }

// summary says how the runs of a page went.
func summary(runs []client.Run) string {
	var recent []client.RecentRun
	for _, r := range runs {
		recent = append(recent, client.RecentRun{
			Status: r.Status, DurationMilliseconds: r.DurationMilliseconds, LatenessMilliseconds: r.LatenessMilliseconds,
			Occurrences: r.Occurrences,
		})
	}
	text := stripText(recent)
	if late := lateness(recent); late != "–" {
		text += " 95 of 100 started within " + late + "."
	}
	return text
}

// runHeads are the heads of the runs of a job.
func runHeads(p *page) []string {
	heads := []string{"Status", "Scheduled for", "Late", "Took", "Trigger", "Why"}
	if p.can(client.ScopeRunsWrite) {
		heads = append(heads, "Do")
	}
	return heads
}
