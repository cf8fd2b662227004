package calendars

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"punctual/gen/db"
)

// maxWarnings bounds how many calendars one pass warns of.
const maxWarnings = 100

// WarnRunningOut warns of each calendar that jobs name and that says nothing of the days from some
// time ahead on: what is due then may be due on a day that somebody would have left out. It returns
// how many there are.
func WarnRunningOut(ctx context.Context, q *db.Queries, logger *slog.Logger) (int64, error) {
	rows, err := q.ListRunningOut(ctx, db.ListRunningOutParams{Days: RunsOutWithinDays, MaxRows: maxWarnings})
	if err != nil {
		return 0, fmt.Errorf("look for calendars that run out: %w", err)
	}
	for _, row := range rows {
		logger.WarnContext(ctx, "a calendar runs out, and jobs name it; replace it by one that knows later days",
			"namespace", row.Namespace, "calendar", row.Key, "validUntil", row.ValidUntil.Format(time.DateOnly))
	}
	return int64(len(rows)), nil
}
