package broker

import (
	"context"
	"fmt"
	"time"
)

const (
	// unservedAfter is how long a run waits before its queue counts as unserved.
	unservedAfter = time.Minute
	// warnAgainAfter is the time between two warnings of one queue.
	warnAgainAfter = 10 * time.Minute
)

// WarnUnserved logs the queues in which runs wait for more than a minute while no worker holds a
// run of the queue. It names a queue again after some time only.
func (b *Broker) WarnUnserved(ctx context.Context) error {
	rows, err := b.queries.ListUnserved(ctx, unservedAfter)
	if err != nil {
		return fmt.Errorf("list queues that no worker serves: %w", err)
	}
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	warned := map[string]time.Time{} // queues that are served by now are forgotten
	for _, row := range rows {
		at, ok := b.warned[row.Queue]
		if !ok || now.Sub(at) >= warnAgainAfter {
			at = now
			b.Logger.WarnContext(ctx, "runs wait in a queue and no worker asks for it", "queue", row.Queue, "since", row.ReadyAt)
		}
		warned[row.Queue] = at
	}
	b.warned = warned
	return nil
}

// Asking returns how many requests of workers wait, by their queue.
func (b *Broker) Asking() map[string]int32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	asking := map[string]int32{}
	for name, q := range b.queues {
		if n := len(q.waiting); n > 0 {
			asking[name] = int32(n)
		}
	}
	return asking
}
