package maintenance

import (
	"context"
	"time"
)

// Unserved warns of queues that no worker serves while runs wait in them.
func Unserved(warn func(context.Context) error) Duty {
	pass := func(ctx context.Context) (Result, error) { return Result{}, warn(ctx) }
	return Duty{Name: "look for queues without workers", Every: time.Minute, Pass: pass}
}
