package maintenance

import (
	"context"
	"log/slog"
	"time"

	"punctual/gen/db"
)

// setBackEvery is how often to look whether the database's clock was ahead.
const setBackEvery = time.Minute

// SetBack brings jobs back whose next runs were computed while the database's clock was ahead. It
// looks when it is woken, since an instance has noticed that the clock was set back (hasNoticed),
// and every minute, since no instance may have lived when that happened.
func SetBack(
	q *db.Queries, logger *slog.Logger, bringBack func(context.Context) (int64, error), hasNoticed func() bool, wake <-chan struct{},
) Duty {
	pass := func(ctx context.Context) (Result, error) {
		if !hasNoticed() {
			wasAhead, err := q.WasClockAhead(ctx)
			if err != nil || !wasAhead {
				return Result{}, err
			}
		}
		n, err := bringBack(ctx)
		logger.WarnContext(ctx, "the database's clock was ahead and was set back; jobs are due from now on again", "jobs", n)
		return Result{Count: n}, err
	}
	return Duty{Name: "bring back the jobs of a clock that was ahead", Every: setBackEvery, Wake: wake, Pass: pass}
}
