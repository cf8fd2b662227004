// Package maintenance keeps the database in order. Each of its duties should be done by one instance and is safe to do
// by all: there is no leader.
package maintenance

import (
	"cmp"
	"context"
	"log/slog"
	"time"
)

// Duty is something to be done again and again.
type Duty struct {
	Name string
	// Every is the time from the end of one pass to the start of the next, unless that says otherwise.
	Every time.Duration
	// Pass does it once.
	Pass func(ctx context.Context) (Result, error)
}

// Result is what a pass has come to.
type Result struct {
	// Count is how much there was to do.
	Count int64
	// Next is the time from the end of this pass to the start of the next. Zero: the duty's Every, or soon where it has failed.
	Next time.Duration
}

// retryAfter is when a pass that has failed is tried again.
const retryAfter = time.Second

// Run does the duty now and then again and again, until ctx ends. A pass that fails is logged and tried again soon, unless it
// says otherwise: others wait for what it does.
func (d Duty) Run(ctx context.Context, log *slog.Logger) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		result, err := d.Pass(ctx)
		next := cmp.Or(result.Next, d.Every)
		switch {
		case err != nil && ctx.Err() == nil:
			log.ErrorContext(ctx, "duty failed", "duty", d.Name, "error", err)
			next = cmp.Or(result.Next, min(d.Every, retryAfter))
		case result.Count > 0:
			log.InfoContext(ctx, "duty done", "duty", d.Name, "count", result.Count)
		}
		timer.Reset(next)
	}
}
