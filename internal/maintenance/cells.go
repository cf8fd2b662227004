package maintenance

import (
	"context"
	"time"
)

// Cells opens the cells that were added since the instance has started. It does so when it is
// woken, and every minute, because a notification may be lost.
func Cells(open func(context.Context) (int64, error), wake <-chan struct{}) Duty {
	return Duty{Name: "open the cells that were added", Every: time.Minute, Wake: wake, Pass: counting(open)}
}

// Placements forgets in which cells namespaces were that are gone, and their keys.
func Placements(purge func(context.Context) (int64, error)) Duty {
	return Duty{Name: "forget where deleted namespaces were", Every: time.Hour, Pass: counting(purge)}
}

// AbandonedMoves lets namespaces go on that somebody was moving to another cell who has died.
func AbandonedMoves(end func(context.Context) (int64, error)) Duty {
	return Duty{Name: "let namespaces go on that nobody moves any more", Every: time.Minute, Pass: counting(end)}
}

// counting makes a pass of a function that returns how many things it has changed.
func counting(do func(context.Context) (int64, error)) func(context.Context) (Result, error) {
	return func(ctx context.Context) (Result, error) {
		n, err := do(ctx)
		return Result{Count: n}, err
	}
}
