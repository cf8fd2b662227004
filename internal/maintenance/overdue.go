package maintenance

import (
	"context"
	"time"
)

// Overdue ends the attempts of workers that take longer than they may. Its interval is how much longer that is found out.
func Overdue(end func(context.Context) (int64, error)) Duty {
	return Duty{Name: "end overdue attempts of workers", Every: 5 * time.Second, Pass: func(ctx context.Context) (Result, error) {
		n, err := end(ctx)
		return Result{Count: n}, err
	}}
}
