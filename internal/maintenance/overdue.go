package maintenance

import (
	"context"
	"time"
)

// Overdue ends the attempts of workers that take longer than their jobs allow. An attempt may
// exceed that time by its interval.
func Overdue(end func(context.Context) (int64, error)) Duty {
	pass := func(ctx context.Context) (Result, error) {
		n, err := end(ctx)
		return Result{Count: n}, err
	}
	return Duty{Name: "end overdue attempts of workers", Every: 5 * time.Second, Pass: pass}
}
