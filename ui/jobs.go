package ui

import (
	"net/http"
	"slices"

	"github.com/google/uuid"

	"punctual/gen/client"
	"punctual/internal/answers"
)

// recentRuns is how many runs a row shows, the most that the API lists.
const recentRuns = 30

// jobRow is a job in the list, with its latest runs, newest first.
type jobRow struct {
	client.Job
	recent []client.RecentRun
}

// jobList is a page of the list of jobs.
type jobList struct {
	filter jobFilter
	form   *form
	rows   []jobRow
	next   *string
	total  string
}

// listJobs shows the jobs that match the filter of the URL.
func listJobs(p *page) error {
	l := jobList{filter: jobFilter{p.URL.Query()}}
	l.form = &form{Values: l.filter.Values}
	// What is in the URL while somebody types is short enough to be read, and to be sent to others.
	p.w.Header().Set("HX-Replace-Url", l.filter.clean())
	found, err := p.findJobs(l.filter)
	if err != nil && !l.form.refused(p, err) {
		return err
	}
	l.next, l.total = found.NextCursor, countedTo(found.Total, found.TotalIsCapped, "job")
	if l.rows, err = p.rowsOf(found.Items); err != nil {
		return err
	}
	return p.show("Jobs", jobsPage(p, l))
}

// findJobs reads a page of the jobs that match a filter.
func (p *page) findJobs(filter jobFilter) (client.JobPage, error) {
	if ids := filter.selector().Ids; ids != nil {
		job, err := answers.Of[client.Job](p.GetJob(p.Context(), (*ids)[0]))
		if answers.IsRefused(err, "job-not-found") {
			return client.JobPage{}, nil
		}
		return client.JobPage{Items: []client.Job{job}, Total: 1}, err
	}
	return answers.Of[client.JobPage](p.ListJobs(p.Context(), filter.params()))
}

// rowsOf reads the latest runs of jobs by one request.
func (p *page) rowsOf(jobs []client.Job) (rows []jobRow, err error) {
	var ids []uuid.UUID
	for _, job := range jobs {
		rows = append(rows, jobRow{Job: job})
		ids = append(ids, job.Id)
	}
	if ids == nil {
		return nil, nil
	}
	recent, err := answers.Of[client.RecentRunList](p.ListRecentRuns(p.Context(), &client.ListRecentRunsParams{
		JobId: ids, Count: new(int32(recentRuns)),
	}))
	if err != nil {
		return nil, err
	}
	for _, of := range recent.Items {
		if n := slices.Index(ids, of.JobId); n >= 0 {
			rows[n].recent = of.Runs
		}
	}
	return rows, nil
}

// jobAction is a button that does something to one job.
func jobAction(done string, act func(*page, uuid.UUID) (*http.Response, error)) func(*page) error {
	return func(p *page) error {
		id, err := p.id()
		if err != nil {
			return err
		}
		if _, err := p.readForm(); err != nil {
			return err
		}
		return p.acted(done, answers.Done(act(p, id)))
	}
}

var (
	runNow = jobAction("A run was started.", func(p *page, id uuid.UUID) (*http.Response, error) {
		return p.RunJob(p.Context(), id, &client.RunJobParams{IdempotencyKey: p.once()}, client.RunStart{})
	})
	pauseNow = jobAction("The job is paused.", func(p *page, id uuid.UUID) (*http.Response, error) {
		return p.UpdateJob(p.Context(), id, nil, client.JobUpdate{Status: new(client.JobUpdateStatusPAUSED)})
	})
	resumeNow = jobAction("The job goes on.", func(p *page, id uuid.UUID) (*http.Response, error) {
		return p.UpdateJob(p.Context(), id, nil, client.JobUpdate{Status: new(client.JobUpdateStatusACTIVE)})
	})
)
