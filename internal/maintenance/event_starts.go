package maintenance

import (
	"context"
	"time"
)

const (
	// eventStartsEvery is the longest time between two looks for what events have started. It
	// bounds how long that waits which an instance has left that died.
	eventStartsEvery = 3 * time.Second
	// minEventStartsEvery is the shortest time: see minPausesEvery.
	minEventStartsEvery = time.Millisecond
)

// EventStarts makes runs of what events have started. It looks when it is woken, when the events
// have been collected that start one run, and every 3 s.
func EventStarts(start func(ctx context.Context, most time.Duration) (time.Duration, error), wake <-chan struct{}) Duty {
	pass := func(ctx context.Context) (result Result, err error) {
		next, err := start(ctx, eventStartsEvery)
		if err == nil {
			result.Next = max(next, minEventStartsEvery)
		}
		return result, err
	}
	return Duty{Name: "start runs by events", Every: eventStartsEvery, Wake: wake, Pass: pass}
}
