package maintenance

import (
	"context"
	"time"
)

const (
	// pausesEvery is the longest time between two looks for pauses that have ended. It bounds how
	// late a job goes on if the notification of the end of its pause was lost. It is long, because
	// an idle instance is to send few statements, and who may have missed a notification looks.
	pausesEvery = 30 * time.Second
	// minPausesEvery is the shortest time. A timer may be a little early by the database's clock.
	minPausesEvery = time.Millisecond
)

// Pauses resumes the jobs whose pause has ended. It looks when it is woken, when the next pause
// ends that it knows of, and every 30 s.
func Pauses(end func(ctx context.Context, most time.Duration) (int64, time.Duration, error), wake <-chan struct{}) Duty {
	pass := func(ctx context.Context) (Result, error) {
		n, next, err := end(ctx, pausesEvery)
		result := Result{Count: n}
		if next > 0 { // known, even if some jobs could not be resumed
			result.Next = max(next, minPausesEvery)
		}
		return result, err
	}
	return Duty{Name: "resume jobs whose pause has ended", Every: pausesEvery, Wake: wake, Pass: pass}
}
