package cli

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"punctual/gen/client"
)

type runsCmd struct {
	List   listRuns   `cmd:"" help:"List runs, newest first: of all jobs in the last 24 hours, or of one job."`
	Get    getRuns    `cmd:"" help:"Show runs with all their fields."`
	Watch  watchRuns  `cmd:"" help:"Print new runs and changes of their status, until Ctrl-C; or wait for the runs that are named."`
	Retry  retryRuns  `cmd:"" help:"Retry runs that ended without success."`
	Cancel cancelRuns `cmd:"" help:"Cancel runs that have not ended."`
}

// runFilter says which runs a command is about. Filters add up.
type runFilter struct {
	Job      string                  `group:"filter" placeholder:"JOB" help:"Runs of the job with this key or id."`
	Selector string                  `group:"filter" short:"l" placeholder:"SELECTOR" help:"Runs of jobs whose labels match: team=payments,env in (prod,stage),!legacy."`
	Status   []client.RunStatus      `group:"filter" placeholder:"STATUS" help:"Runs with one of these statuses: PENDING, RUNNING, SUCCEEDED, FAILED, CANCELED, SKIPPED."`
	Reason   []client.RunReasonGiven `group:"filter" placeholder:"REASON" help:"Runs with one of these reasons, such as MISFIRE or OVERLAP."`
	Trigger  []client.RunTrigger     `group:"filter" placeholder:"TRIGGER" help:"Runs that were created by one of these: SCHEDULE, MANUAL, BACKFILL, RETRY."`
	From     *back                   `group:"filter" placeholder:"WHEN" help:"Runs that were due since then: an instant, or a duration ago such as 2h or 3d."`
	To       *back                   `group:"filter" placeholder:"WHEN" help:"Runs that were due before then."`
}

// selector returns the filter as bulk changes take it.
func (f runFilter) selector(ctx context.Context, s *Session) (client.RunSelector, error) {
	by := client.RunSelector{
		LabelSelector: given(f.Selector), Status: wordsOf(f.Status), Reason: wordsOf(f.Reason), Trigger: wordsOf(f.Trigger),
	}
	if f.From != nil {
		by.From = &f.From.Time
	}
	if f.To != nil {
		by.To = &f.To.Time
	}
	if f.Job == "" {
		return by, nil
	}
	id, err := uuid.Parse(f.Job)
	if err != nil { // the id of a deleted job finds its runs, too; a key does not
		job, err := s.job(ctx, f.Job)
		if err != nil {
			return by, err
		}
		id = job.Id
	}
	by.JobId = &id
	return by, nil
}

// readerOf returns what reads the runs that a selector finds. The list of a job goes back to its
// first run, that of all jobs 24 hours.
func (s *Session) readerOf(by client.RunSelector) reader {
	return func(ctx context.Context, cursor *client.Cursor, limit *client.Limit) (*http.Response, error) {
		if by.JobId != nil && by.LabelSelector == nil && by.From == nil {
			return s.ListJobRuns(ctx, *by.JobId, &client.ListJobRunsParams{
				Cursor: cursor, Limit: limit, Status: by.Status, Reason: by.Reason, Trigger: by.Trigger, To: by.To,
			})
		}
		return s.ListRuns(ctx, &client.ListRunsParams{
			Cursor: cursor, Limit: limit, JobId: by.JobId, Status: by.Status, Reason: by.Reason, Trigger: by.Trigger,
			LabelSelector: by.LabelSelector, From: by.From, To: by.To,
		})
	}
}

type listRuns struct {
	Globals   `embed:""`
	runFilter `embed:""`
	ListFlags `embed:""`
}

// Run lists runs.
func (c *listRuns) Run(ctx context.Context, s *Session) error {
	by, err := c.selector(ctx, s)
	if err != nil {
		return err
	}
	return runTable.list(ctx, s, c.ListFlags, s.readerOf(by))
}

var runTable = table[client.Run]{
	columns: []column[client.Run]{
		{"ID", runName},
		{"JOB", runJob},
		{"STATUS", func(r client.Run) string { return string(r.Status) }},
		{"DUE", func(r client.Run) string { return when(&r.ScheduledFor) }},
		{"LATE BY", func(r client.Run) string { return milliseconds(r.LatenessMilliseconds) }},
		{"TOOK", func(r client.Run) string { return milliseconds(r.DurationMilliseconds) }},
		{"ATTEMPT", func(r client.Run) string { return strconv.Itoa(int(r.Attempt)) }},
		{"WHY", whyRun},
	},
	name: runName,
}

// causeOfRun returns the run whose event has started a run.
func causeOfRun(r client.Run) string {
	if r.CausedBy == nil {
		return "-"
	}
	return r.CausedBy.String()
}

func runName(r client.Run) string { return r.Id.String() }

// runJob returns what the job of a run is called by.
func runJob(r client.Run) string {
	if r.JobKey != nil {
		return *r.JobKey
	}
	return cmp.Or(orDash(r.JobName), r.JobId.String())
}

// whyRun says why a run is as it is: the reason, or the first line of the error.
func whyRun(r client.Run) string {
	if r.Reason != nil {
		return string(*r.Reason)
	}
	const columns = 60
	text := []rune(orDash(r.Error))
	if len(text) > columns {
		text = append(text[:columns-1], '…')
	}
	return string(text)
}

type getRuns struct {
	Globals `embed:""`
	IDs     []uuid.UUID `arg:"" name:"run" help:"The ids of the runs."`
}

// Run shows runs.
func (c *getRuns) Run(ctx context.Context, s *Session) error {
	var all []client.Run
	for _, id := range c.IDs {
		run, err := answer[client.Run](s.GetRun(ctx, id))
		if isRefused(err, "run-not-found") {
			err = noSuch("run", id.String())
		}
		if err != nil {
			return err
		}
		all = append(all, run)
	}
	return runDetails.show(s, all)
}

var runDetails = table[client.Run]{
	columns: []column[client.Run]{
		{"Id", runName},
		{"Job", func(r client.Run) string { return runJob(r) + " (" + r.JobId.String() + ")" }},
		{"Status", func(r client.Run) string { return string(r.Status) }},
		{"Reason", func(r client.Run) string { return orDash(r.Reason) }},
		{"Explanation", func(r client.Run) string { return orDash(r.StatusReason) }},
		{"Trigger", func(r client.Run) string { return string(r.Trigger) }},
		{"Due", func(r client.Run) string { return when(&r.ScheduledFor) }},
		{"Waits for", func(r client.Run) string { return orDash(r.WaitingFor) }},
		{"Started by", causeOfRun},
		{"Payload", func(r client.Run) string { return cmp.Or(string(r.Payload), "-") }},
		{"Started", func(r client.Run) string { return when(r.StartedAt) }},
		{"Finished", func(r client.Run) string { return when(r.FinishedAt) }},
		{"Late by", func(r client.Run) string { return milliseconds(r.LatenessMilliseconds) }},
		{"Took", func(r client.Run) string { return milliseconds(r.DurationMilliseconds) }},
		{"Attempt", func(r client.Run) string { return strconv.Itoa(int(r.Attempt)) }},
		{"Executed by", func(r client.Run) string { return orDash(r.ExecutedBy) }},
		{"Error", func(r client.Run) string { return orDash(r.Error) }},
		{"Result", func(r client.Run) string { return compact(r.Result) }},
		{"Cancel requested", func(r client.Run) string { return when(r.CancelRequestedAt) }},
		{"Occurrences", func(r client.Run) string { return strconv.FormatInt(r.Occurrences, 10) }},
	},
	name: runName,
}

// isOpen reports whether a run has not ended.
func isOpen(r client.Run) bool {
	return r.Status == client.RunStatusPENDING || r.Status == client.RunStatusRUNNING
}

// watchFrom is how far back the first look of a watch goes.
const watchFrom = time.Minute
