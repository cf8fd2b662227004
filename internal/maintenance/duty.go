// Package maintenance keeps the database in order: it creates and drops partitions and frees runs
// whose executor is gone.
//
// Every instance does every duty. There is no leader, so each duty is safe to do several times and
// by several instances at once.
package maintenance

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"punctual/internal/logging"
)

// Duty is a task that is done again and again.
type Duty struct {
	Name string
	// Every is the time from the end of one pass to the start of the next.
	Every time.Duration
	// Wake makes a pass begin at once. Default: nothing does.
	Wake <-chan struct{}
	// Pass does the task once.
	Pass func(ctx context.Context) (Result, error)
	// Done is called after each pass. Default: nobody is told.
	Done func(err error)
}

// Result is the outcome of one pass.
type Result struct {
	// Count is how many things the pass created, dropped or freed.
	Count int64
	// Left is how many things are left for the next passes.
	Left int64
	// Next is the time from the end of this pass to the start of the next, if it differs from the
	// duty's Every. After a failure, zero means an early retry.
	Next time.Duration
}

// maxRetryDelay is the longest wait after a pass that failed.
const maxRetryDelay = 30 * time.Second

// Run does a pass at once, and then again and again until ctx ends. A failed pass is logged and
// tried again after a second, then after longer and longer waits, because others depend on it.
func (d Duty) Run(ctx context.Context, log *slog.Logger) {
	log = log.With("duty", d.Name)
	outage := logging.Outage{
		Logger: log, Failing: "maintenance task failed; it is tried again", Working: "maintenance task works again",
		MaxDelay: min(d.Every, maxRetryDelay),
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-d.Wake:
		}
		result, err := d.Pass(ctx)
		if ctx.Err() != nil {
			return
		}
		if d.Done != nil {
			d.Done(err)
		}
		if result.Count > 0 {
			log.InfoContext(ctx, "maintenance task finished", "count", result.Count, "left", result.Left)
		}
		if err != nil {
			timer.Reset(cmp.Or(result.Next, outage.Failed(ctx, err)))
			continue
		}
		outage.Worked(ctx)
		timer.Reset(cmp.Or(result.Next, d.Every))
	}
}
