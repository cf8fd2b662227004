package maintenance

import (
	"context"
	"time"
)

// Namespaces pauses and resumes jobs as their namespaces are suspended or not: when it is woken,
// and now and then, in case that nobody was there to hear of a change.
func Namespaces(follow func(context.Context) (int64, error), wake <-chan struct{}) Duty {
	pass := func(ctx context.Context) (Result, error) {
		n, err := follow(ctx)
		return Result{Count: n}, err
	}
	return Duty{Name: "pause and resume jobs as their namespaces are", Every: 5 * time.Second, Wake: wake, Pass: pass}
}
