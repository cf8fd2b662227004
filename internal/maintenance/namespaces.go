package maintenance

import (
	"context"
	"time"
)

// Namespaces pauses the jobs of suspended namespaces, and resumes those of the others. It does so
// when it is woken, and every 5 s, because a notification may be lost.
func Namespaces(follow func(context.Context) (int64, error), wake <-chan struct{}) Duty {
	return Duty{Name: "pause and resume jobs as their namespaces are", Every: 5 * time.Second, Wake: wake, Pass: counting(follow)}
}
