package ui

import (
	"fmt"
	"time"

	"punctual/gen/client"
	"punctual/internal/answers"
)

// daysCounted is how many days the numbers of a job are of.
const daysCounted = 14

// statsRow is what became of the runs of a day, or of all days.
type statsRow struct {
	startsAt          *time.Time
	succeeded, others int64
	failed            int64
	duration          *client.DurationQuantiles
	lateness          *client.LatenessQuantiles
}

// showJobStats shows how the runs of a job went over the last days, newest first.
func showJobStats(p *page) error {
	job, _, err := p.readJob()
	if err != nil {
		return err
	}
	stats, err := answers.Of[client.JobStats](p.GetJobStats(p.Context(), job.Id, &client.GetJobStatsParams{
		From: new(p.now.AddDate(0, 0, 1-daysCounted)), Step: new(client.GetJobStatsParamsStepDAY),
	}))
	if err != nil {
		return err
	}
	t := stats.Totals
	rows := []statsRow{{
		succeeded: t.Succeeded, failed: t.Failed, others: t.Skipped + t.Canceled, duration: t.DurationMilliseconds,
		lateness: t.LatenessMilliseconds,
	}}
	for n := range stats.Items {
		item := stats.Items[len(stats.Items)-1-n]
		rows = append(rows, statsRow{
			startsAt: &item.StartsAt, succeeded: item.Succeeded, failed: item.Failed, others: item.Skipped + item.Canceled,
			duration: item.DurationMilliseconds, lateness: item.LatenessMilliseconds,
		})
	}
	return p.show("Numbers of "+job.Name, jobStatsPage(p, job, stats, rows))
}

// day is the day of a row, in UTC as the API counts.
func (r statsRow) day() string {
	if r.startsAt == nil {
		return "All"
	}
	return r.startsAt.UTC().Format("Mon 2006-01-02")
}

// share says how many of the runs that were executed have succeeded.
func (r statsRow) share() string {
	if r.succeeded+r.failed == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(r.succeeded)/float64(r.succeeded+r.failed))
}

func (r statsRow) took() string {
	if r.duration == nil {
		return "–"
	}
	return between(r.duration.P50, r.duration.P99)
}

func (r statsRow) late() string {
	if r.lateness == nil {
		return "–"
	}
	return between(r.lateness.P50, r.lateness.P99)
}

// between writes the 50th and the 99th percentile of milliseconds.
func between(p50, p99 float64) string {
	return exact(time.Duration(p50*float64(time.Millisecond))) + " / " + exact(time.Duration(p99*float64(time.Millisecond)))
}
