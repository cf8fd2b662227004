// Package maintenance keeps the database in order. Each of its duties should be done by one instance and is safe to do
// by all: there is no leader.
package maintenance

import (
	"context"
	"log/slog"
	"time"
)

// Duty is something to be done again and again.
type Duty struct {
	Name string
	// Every is the time from the end of one pass to the start of the next.
	Every time.Duration
	// Pass does it once and returns how much there was to do.
	Pass func(ctx context.Context) (int64, error)
}

// retryAfter is when a pass that has failed is tried again.
const retryAfter = time.Second

// Run does the duty now and then every so often, until ctx ends. A pass that fails is logged and tried again soon: others
// wait for what it does.
func (d Duty) Run(ctx context.Context, log *slog.Logger) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		next := d.Every
		switch n, err := d.Pass(ctx); {
		case err != nil && ctx.Err() == nil:
			log.ErrorContext(ctx, "duty failed", "duty", d.Name, "error", err)
			next = min(d.Every, retryAfter)
		case n > 0:
			log.InfoContext(ctx, "duty done", "duty", d.Name, "count", n)
		}
		timer.Reset(next)
	}
}
