package maintenance

import (
	"context"
	"time"
)

const (
	// overdueJobsEvery is the longest time between two looks for jobs that have not succeeded in
	// time. It bounds how late that is told of a job that was made, or changed, since the last look.
	overdueJobsEvery = 10 * time.Second
	// minOverdueJobsEvery is the shortest time: see minPausesEvery.
	minOverdueJobsEvery = 10 * time.Millisecond
)

// OverdueJobs tells of the jobs that have not succeeded in time. It looks when the next one may be,
// and every 10 s.
func OverdueJobs(tell func(context.Context) (time.Duration, error)) Duty {
	pass := func(ctx context.Context) (result Result, err error) {
		next, err := tell(ctx)
		if err == nil {
			result.Next = max(min(next, overdueJobsEvery), minOverdueJobsEvery)
		}
		return result, err
	}
	return Duty{Name: "tell of overdue jobs", Every: overdueJobsEvery, Pass: pass}
}
