package cli

import (
	"context"
	"time"

	"punctual/gen/client"
)

type backfillJob struct {
	Globals `embed:""`
	Name    string `arg:"" name:"job" help:"The key or id of the job."`
	From    *back  `required:"" placeholder:"WHEN" help:"The first instant of the time, or how long ago it was, such as 2h or 3d."`
	To      *back  `placeholder:"WHEN" help:"The last instant. Default: now."`
	DryRun  bool   `help:"Say how many runs would be started, and start none."`
}

// Run starts the runs that are missing.
func (c *backfillJob) Run(ctx context.Context, s *Session) error {
	job, err := s.job(ctx, c.Name)
	if err != nil {
		return err
	}
	// The clock of the service may be behind this one, and nothing is backfilled that is to come.
	window := client.BackfillWindow{From: c.From.Time, To: time.Now().Add(-time.Second), DryRun: &c.DryRun}
	if c.To != nil {
		window.To = c.To.Time
	}
	done, err := answer[client.Backfill](s.BackfillJob(ctx, job.Id, nil, window))
	if err != nil {
		return err
	}
	if s.Output == outJSON || s.Output == outYAML {
		return s.object(done)
	}
	if done.DryRun {
		return s.say("Runs that would be started: %d, for %d occurrences.", done.Runs, done.Occurrences)
	}
	return s.say("Started %d runs, for %d occurrences.", done.Runs, done.Occurrences)
}
