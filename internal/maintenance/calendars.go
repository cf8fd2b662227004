package maintenance

import (
	"context"
	"log/slog"
	"time"

	"punctual/gen/db"
	"punctual/internal/calendars"
)

const (
	// calendarsEvery bounds how late jobs follow a calendar if the notification was lost.
	calendarsEvery = 30 * time.Second
	// warnsEvery is how often a calendar is told to run out.
	warnsEvery = 24 * time.Hour
)

// Calendars gives jobs the new days of calendars that were replaced. It looks when it is woken, and
// every 30 s.
func Calendars(spread func(context.Context) (int64, error), wake <-chan struct{}) Duty {
	pass := func(ctx context.Context) (Result, error) {
		n, err := spread(ctx)
		return Result{Count: n}, err
	}
	return Duty{Name: "give jobs the new days of their calendars", Every: calendarsEvery, Wake: wake, Pass: pass}
}

// RunningOut warns once a day of calendars that know no later days soon.
func RunningOut(q *db.Queries, logger *slog.Logger) Duty {
	pass := func(ctx context.Context) (Result, error) {
		n, err := calendars.WarnRunningOut(ctx, q, logger)
		return Result{Count: n}, err
	}
	return Duty{Name: "warn of calendars that run out", Every: warnsEvery, Pass: pass}
}
