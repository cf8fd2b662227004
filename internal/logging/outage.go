package logging

import (
	"cmp"
	"context"
	"log/slog"
	"time"
)

const (
	// firstDelay is how long to wait after the first failure of an outage. Each further failure
	// doubles it.
	firstDelay = time.Second
	// defaultMaxDelay is the longest wait between two attempts.
	defaultMaxDelay = 30 * time.Second
	// reportEvery is the shortest time between two lines about one outage.
	reportEvery = 30 * time.Second
)

// Outage reports the failures of one loop that tries again and again, and paces the loop. It logs
// the first failure, then at most one line every 30 s with the number of failures so far, and one
// line when the loop works again. Not safe for concurrent use.
type Outage struct {
	Logger *slog.Logger
	// Failing is the message while the loop fails. It names what failed and what that means.
	Failing string
	// Working is the message when the loop works again.
	Working string
	// MaxDelay is the longest wait that Failed returns. Default 30 s.
	MaxDelay time.Duration

	failures int // since the loop last worked
	delay    time.Duration
	since    time.Time
	reported time.Time
}

// Failed notes a failure and returns how long to wait before the next attempt: 1 s, 2 s, 4 s, and
// so on, up to MaxDelay. Do not call it for an attempt that ended because the loop has to stop.
func (o *Outage) Failed(ctx context.Context, err error) (delay time.Duration) {
	now := time.Now()
	if o.failures++; o.failures == 1 {
		o.since, o.delay = now, firstDelay
	}
	if o.failures == 1 || now.Sub(o.reported) >= reportEvery {
		o.reported = now
		o.Logger.ErrorContext(ctx, o.Failing, "error", err, "failures", o.failures, "since", o.since.UTC())
	}
	delay = min(o.delay, cmp.Or(o.MaxDelay, defaultMaxDelay))
	o.delay = 2 * delay
	return delay
}

// Worked notes that an attempt succeeded.
func (o *Outage) Worked(ctx context.Context) {
	if o.failures == 0 {
		return
	}
	o.Logger.InfoContext(ctx, o.Working, "failures", o.failures, "lasted", time.Since(o.since))
	o.failures = 0
}
