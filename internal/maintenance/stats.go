package maintenance

import (
	"context"
	"time"
)

// StatsEvery is how often an instance adds what it has counted of runs. What it has counted since
// then is lost if it dies.
const StatsEvery = time.Minute

// AddStats adds what this instance has counted of runs.
func AddStats(flush func(context.Context) error) Duty {
	return Duty{Name: "add what was counted of runs", Every: StatsEvery, Pass: func(ctx context.Context) (Result, error) {
		return Result{}, flush(ctx)
	}}
}
