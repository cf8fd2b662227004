package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"punctual/gen/client"
)

// countFlag says how many occurrences are shown.
type countFlag struct {
	Count int32 `group:"output" short:"n" default:"10" help:"How many occurrences to show."`
}

type nextRuns struct {
	Globals   `embed:""`
	countFlag `embed:""`
	Name      string `arg:"" name:"job" help:"The key or id of the job."`
}

// Run shows the next occurrences of a job.
func (c *nextRuns) Run(ctx context.Context, s *Session) error {
	job, err := s.job(ctx, c.Name)
	if err != nil {
		return err
	}
	next, err := answer[client.OccurrenceList](s.ListUpcoming(ctx, job.Id, &client.ListUpcomingParams{Count: &c.Count}))
	if err != nil {
		return err
	}
	return occurrenceTable.print(s, next.Items)
}

type upcoming struct {
	Globals  `embed:""`
	Selector string `group:"filter" short:"l" placeholder:"SELECTOR" help:"Jobs whose labels match: team=payments,env in (prod,stage),!legacy."`
	To       *ahead `group:"filter" placeholder:"WHEN" help:"What is due before this: an instant, or a duration from now such as 3h, at most a day. Default: in an hour."`
	Limit    int32  `group:"output" default:"50" help:"The maximum number of occurrences; 1 to 1000."`
}

// Run shows the next occurrences of all jobs.
func (c *upcoming) Run(ctx context.Context, s *Session) error {
	ask := client.ListUpcomingRunsParams{Limit: &c.Limit, LabelSelector: given(c.Selector)}
	if c.To != nil {
		ask.To = &c.To.Time
	}
	next, err := answer[client.UpcomingRunList](s.ListUpcomingRuns(ctx, &ask))
	if err != nil {
		return err
	}
	if err := upcomingTable.print(s, next.Items); err != nil {
		return err
	}
	if len(next.Items) == int(c.Limit) {
		fmt.Fprintf(s.Err, "The list ends before %s. --limit 1000 lists more.\n", when(&next.CompleteUntil))
	}
	return nil
}

var upcomingTable = table[client.UpcomingRun]{
	columns: []column[client.UpcomingRun]{
		{"DUE", func(r client.UpcomingRun) string { return when(&r.ScheduledFor) }},
		{"JOB", upcomingJob},
		{"NAME", func(r client.UpcomingRun) string { return r.JobName }},
	},
	name: upcomingJob,
}

// upcomingJob returns what the job is called by.
func upcomingJob(r client.UpcomingRun) string {
	if r.JobKey != nil {
		return *r.JobKey
	}
	return r.JobId.String()
}

type preview struct {
	Globals   `embed:""`
	countFlag `embed:""`
	Schedule  string `arg:"" help:"A cron expression in quotes, such as \"30 9 * * MON-FRI\", an interval such as 90m, or the lines of a recurrence rule."`
	TimeZone  string `placeholder:"ZONE" help:"The time zone of the cron expression or the rule, such as Europe/Berlin. Default: UTC."`
	After     *ahead `placeholder:"WHEN" help:"Show what comes after this: an instant, or a duration from now such as 3d. Default: now."`
}

// Run shows when a schedule would be due.
func (c *preview) Run(ctx context.Context, s *Session) error {
	ask := client.SchedulePreview{Count: &c.Count, TimeZone: given(c.TimeZone)}
	if every, err := time.ParseDuration(c.Schedule); err == nil {
		if every%time.Second != 0 || every <= 0 {
			return usage("an interval has whole seconds")
		}
		ask.IntervalInSeconds = new(int64(every / time.Second))
	} else if strings.Contains(strings.ToUpper(c.Schedule), "RRULE:") {
		ask.Rrule = &c.Schedule
	} else {
		ask.Cron = new(strings.TrimSpace(c.Schedule))
	}
	if c.After != nil {
		ask.After = &c.After.Time
	}
	next, err := answer[client.OccurrenceList](s.PreviewSchedule(ctx, ask))
	if err != nil {
		return err
	}
	return occurrenceTable.print(s, next.Items)
}

var occurrenceTable = table[client.Occurrence]{
	columns: []column[client.Occurrence]{
		{"DUE", func(o client.Occurrence) string { return when(&o.ScheduledFor) }},
		{"LOCAL TIME", func(o client.Occurrence) string { return o.LocalTime }},
		{"NOTE", func(o client.Occurrence) string {
			switch {
			case o.MovedByCalendar:
				return "moved by a calendar"
			case o.MovedByClockChange:
				return "moved, because clocks change"
			default:
				return ""
			}
		}},
	},
	name: func(o client.Occurrence) string { return o.ScheduledFor.UTC().Format(time.RFC3339Nano) },
}
