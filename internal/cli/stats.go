package cli

import (
	"context"
	"strconv"
	"strings"
	"time"

	"punctual/gen/client"
	"punctual/internal/durations"
)

// windowFlags say which time is shown.
type windowFlags struct {
	From *back `group:"filter" placeholder:"WHEN" help:"The first instant, or how long ago it was, such as 12h."`
	To   *back `group:"filter" placeholder:"WHEN" help:"The instant after the last, or how long ago it was. Default: now."`
}

func (w windowFlags) from() *time.Time { return timeOf(w.From) }
func (w windowFlags) to() *time.Time   { return timeOf(w.To) }

func timeOf(b *back) *time.Time {
	if b == nil {
		return nil
	}
	return &b.Time
}

type showStats struct {
	Globals     `embed:""`
	windowFlags `embed:""`
	Label       string `group:"filter" short:"l" placeholder:"NAME=VALUE" help:"Only runs of jobs with this label."`
	Step        string `group:"output" default:"hour" enum:"minute,hour" help:"How long each line lasts: minute or hour."`
}

// Run shows how many runs have ended over time.
func (c *showStats) Run(ctx context.Context, s *Session) error {
	all, err := answer[client.Stats](s.GetStats(ctx, &client.GetStatsParams{
		From: c.from(), To: c.to(), Label: given(c.Label), Step: new(client.GetStatsParamsStep(strings.ToUpper(c.Step))),
	}))
	if err != nil {
		return err
	}
	if s.Output == outJSON || s.Output == outYAML {
		return s.object(all)
	}
	return printStats(s, all.Items, all.Totals)
}

type jobStats struct {
	Globals     `embed:""`
	windowFlags `embed:""`
	Step        string `group:"output" default:"" enum:",hour,day" help:"How long each line lasts: hour or day. Default: by the length of the time."`
	Name        string `arg:"" name:"job" help:"The key or id of the job."`
}

// Run shows how many runs of a job have ended over time.
func (c *jobStats) Run(ctx context.Context, s *Session) error {
	job, err := s.job(ctx, c.Name)
	if err != nil {
		return err
	}
	all, err := answer[client.JobStats](s.GetJobStats(ctx, job.Id, &client.GetJobStatsParams{
		From: c.from(), To: c.to(), Step: given(client.GetJobStatsParamsStep(strings.ToUpper(c.Step))),
	}))
	if err != nil {
		return err
	}
	if s.Output == outJSON || s.Output == outYAML {
		return s.object(all)
	}
	return printStats(s, all.Items, all.Totals)
}

// printStats prints a line for each step in which a run has ended, and one for all of them.
func printStats(s *Session, steps []client.StatsItem, totals client.StatsTotals) error {
	var lines []statsLine
	for _, step := range steps {
		if step.Succeeded+step.Failed+step.Canceled+step.Skipped > 0 {
			lines = append(lines, statsLine{step.StartsAt.UTC().Format(time.RFC3339), client.StatsTotals{
				Succeeded: step.Succeeded, Failed: step.Failed, Canceled: step.Canceled, Skipped: step.Skipped,
				LatenessMilliseconds: step.LatenessMilliseconds, DurationMilliseconds: step.DurationMilliseconds,
			}})
		}
	}
	return statsTable.print(s, append(lines, statsLine{"total", totals}))
}

type statsLine struct {
	name string
	client.StatsTotals
}

var statsTable = table[statsLine]{
	columns: []column[statsLine]{
		{"FROM", statsName},
		{"SUCCEEDED", func(l statsLine) string { return strconv.FormatInt(l.Succeeded, 10) }},
		{"FAILED", func(l statsLine) string { return strconv.FormatInt(l.Failed, 10) }},
		{"CANCELED", func(l statsLine) string { return strconv.FormatInt(l.Canceled, 10) }},
		{"SKIPPED", func(l statsLine) string { return strconv.FormatInt(l.Skipped, 10) }},
		{"LATE P50", lateness(func(q *client.LatenessQuantiles) float64 { return q.P50 })},
		{"P99", lateness(func(q *client.LatenessQuantiles) float64 { return q.P99 })},
		{"MAX", lateness(func(q *client.LatenessQuantiles) float64 { return q.Max })},
		{"TOOK P50", duration(func(q *client.DurationQuantiles) float64 { return q.P50 })},
		{"P99", duration(func(q *client.DurationQuantiles) float64 { return q.P99 })},
	},
	name: statsName,
}

func statsName(l statsLine) string { return l.name }

func lateness(of func(*client.LatenessQuantiles) float64) func(statsLine) string {
	return func(l statsLine) string {
		if l.LatenessMilliseconds == nil {
			return "-"
		}
		return shortly(of(l.LatenessMilliseconds))
	}
}

func duration(of func(*client.DurationQuantiles) float64) func(statsLine) string {
	return func(l statsLine) string {
		if l.DurationMilliseconds == nil {
			return "-"
		}
		return shortly(of(l.DurationMilliseconds))
	}
}

// shortly shows milliseconds, of which parts count only if they are few.
func shortly(milliseconds float64) string {
	if milliseconds < 10 {
		return strconv.FormatFloat(milliseconds, 'f', 1, 64) + "ms"
	}
	return durations.Short(time.Duration(milliseconds * float64(time.Millisecond)))
}
