package cli

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"punctual/gen/client"
	"punctual/internal/durations"
	"punctual/internal/schedulewords"
)

type jobsCmd struct {
	List     listJobs    `cmd:"" help:"List jobs, newest first."`
	Get      getJobs     `cmd:"" help:"Show jobs with all their fields."`
	Next     nextRuns    `cmd:"" help:"Show when a job is due next."`
	Stats    jobStats    `cmd:"" help:"Count a job's runs, and how late and how long they were, over time."`
	Pause    pauseJobs   `cmd:"" help:"Pause jobs. Many at once get the id of a pause, by which just these are resumed."`
	Resume   resumeJobs  `cmd:"" help:"Resume paused jobs."`
	Run      runJobs     `cmd:"" help:"Start a run of each job."`
	Backfill backfillJob `cmd:"" help:"Start a run for each occurrence of a past time that has none."`
	Delete   deleteJobs  `cmd:"" help:"Delete jobs. Their runs stay as long as all others."`

	filesCmd `embed:""`
}

// jobFilter says which jobs a command is about. Filters add up.
type jobFilter struct {
	Selector         string                  `group:"filter" short:"l" placeholder:"SELECTOR" help:"Jobs whose labels match, as in Kubernetes: team=payments,env in (prod,stage),!legacy."`
	Status           []client.JobStatus      `group:"filter" placeholder:"STATUS" help:"Jobs with one of these statuses: ACTIVE, PAUSED, COMPLETED."`
	Health           []client.JobHealth      `group:"filter" placeholder:"HEALTH" help:"Jobs whose health is one of these: OK, FAILING, LATE, PAUSED, COMPLETED, NEVER_RAN."`
	Name             string                  `group:"filter" placeholder:"TEXT" help:"Jobs whose name contains this text."`
	KeyPrefix        string                  `group:"filter" placeholder:"TEXT" help:"Jobs whose key begins with this text."`
	TargetType       client.JobTargetType    `group:"filter" placeholder:"TYPE" help:"Jobs with this type of target: log, http, worker."`
	Queue            string                  `group:"filter" placeholder:"QUEUE" help:"Jobs whose runs wait in this queue."`
	ConcurrencyGroup string                  `group:"filter" placeholder:"GROUP" help:"Jobs of this concurrency group."`
	LastRunStatus    []client.EndedRunStatus `group:"filter" placeholder:"STATUS" help:"Jobs whose last run ended like this: SUCCEEDED, FAILED, CANCELED, SKIPPED."`
	Pause            *uuid.UUID              `group:"filter" placeholder:"ID" help:"Jobs that the pause with this id has paused."`
}

// selector returns the filter as bulk changes take it.
func (f jobFilter) selector() client.JobSelector {
	return client.JobSelector{
		LabelSelector: given(f.Selector), Status: wordsOf(f.Status), Health: wordsOf(f.Health), Name: given(f.Name),
		KeyPrefix: given(f.KeyPrefix), TargetType: given(f.TargetType), Queue: given(f.Queue),
		ConcurrencyGroup: given(f.ConcurrencyGroup), LastRunStatus: wordsOf(f.LastRunStatus), PauseId: f.Pause,
	}
}

// given returns a pointer to a value, or nil if it is empty.
func given[T comparable](value T) *T {
	if value == *new(T) {
		return nil
	}
	return &value
}

// someOf returns a pointer to a list, or nil if it is empty.
func someOf[T any](list []T) *[]T {
	if len(list) == 0 {
		return nil
	}
	return &list
}

// wordsOf is someOf for words that the API has in upper case. A user may write them in lower case.
func wordsOf[T ~string](list []T) *[]T {
	var words []T
	for _, word := range list {
		words = append(words, T(strings.ToUpper(string(word))))
	}
	return someOf(words)
}

type listJobs struct {
	Globals   `embed:""`
	jobFilter `embed:""`
	ListFlags `embed:""`
	Sort      string `group:"output" placeholder:"FIELD" help:"The order: createdAt (newest first), name or nextRunAt (soonest first)."`
}

// Run lists jobs.
func (c *listJobs) Run(ctx context.Context, s *Session) error {
	by := c.selector()
	return jobTable.list(ctx, s, c.ListFlags, func(ctx context.Context, cursor *client.Cursor, limit *client.Limit) (*http.Response, error) {
		return s.ListJobs(ctx, &client.ListJobsParams{
			Cursor: cursor, Limit: limit, Sort: given(client.JobSort(c.Sort)), LabelSelector: by.LabelSelector, Status: by.Status,
			Health: by.Health, Name: by.Name, KeyPrefix: by.KeyPrefix, TargetType: by.TargetType, Queue: by.Queue,
			ConcurrencyGroup: by.ConcurrencyGroup, LastRunStatus: by.LastRunStatus, PauseId: by.PauseId,
		})
	})
}

var jobTable = table[client.Job]{
	columns: []column[client.Job]{
		{"KEY OR ID", jobName},
		{"NAME", func(j client.Job) string { return j.Name }},
		{"SCHEDULE", scheduleOf},
		{"HEALTH", func(j client.Job) string { return string(j.Health) }},
		{"LAST RUN", func(j client.Job) string {
			if j.LastRun == nil {
				return "-"
			}
			return string(j.LastRun.Status) + " " + durations.FromNow(time.Until(j.LastRun.ScheduledFor))
		}},
		{"NEXT RUN", func(j client.Job) string { return when(j.NextRunAt) }},
	},
	name: jobName,
}

// jobName returns what a job is called by: its key, or its id if it has none.
func jobName(j client.Job) string {
	if j.Key != nil {
		return *j.Key
	}
	return j.Id.String()
}

// scheduleOf shows when a job is due.
func scheduleOf(j client.Job) string {
	schedule := schedulewords.Of(j)
	if zone := schedule.Zone(); j.TimeZone != nil && zone != "" {
		return schedule.Raw() + " (" + zone + ")"
	}
	return schedule.Raw()
}

type getJobs struct {
	Globals `embed:""`
	Names   []string `arg:"" name:"job" help:"The keys or ids of the jobs."`
}

// Run shows jobs.
func (c *getJobs) Run(ctx context.Context, s *Session) error {
	var all []client.Job
	for _, name := range c.Names {
		job, err := s.job(ctx, name)
		if err != nil {
			return err
		}
		all = append(all, job)
	}
	return jobDetails.show(s, all)
}

// job reads a job by its id or its key.
func (s *Session) job(ctx context.Context, name string) (client.Job, error) {
	get := func() (*http.Response, error) { return s.GetJobByKey(ctx, name) }
	if id, err := uuid.Parse(name); err == nil {
		get = func() (*http.Response, error) { return s.GetJob(ctx, id) }
	}
	job, err := answer[client.Job](get())
	if isRefused(err, "job-not-found") {
		return job, noSuch("job", name)
	}
	return job, err
}

var jobDetails = table[client.Job]{
	columns: append([]column[client.Job]{
		{"Id", func(j client.Job) string { return j.Id.String() }},
		{"Key", func(j client.Job) string { return orDash(j.Key) }},
		{"Name", func(j client.Job) string { return j.Name }},
		{"Description", func(j client.Job) string { return cmp.Or(j.Description, "-") }},
		{"Labels", func(j client.Job) string { return labelsOf(j.Labels) }},
		{"Schedule", scheduleOf},
		{"Status", func(j client.Job) string { return string(j.Status) }},
		{"Reason", func(j client.Job) string { return orDash(j.StatusReason) }},
		{"Paused until", func(j client.Job) string { return when(j.PauseUntil) }},
		{"Health", func(j client.Job) string { return string(j.Health) }},
	}, moreOfJob...),
	name: jobName,
}
