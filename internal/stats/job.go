package stats

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/clock"
	"punctual/internal/events"
	"punctual/internal/history"
)

// maxRuns is how many runs of a job are counted at most.
const maxRuns = 10_000

var errCapped = errors.New("there are more runs than are counted")

// OfJob returns the numbers of a job, which the caller may see, and whether there are more runs
// than the latest, which are counted. It returns a BadWindow if there can be none for the window.
func (r *Reader) OfJob(ctx context.Context, job uuid.UUID, asked Asked) (all Series, isCapped bool, err error) {
	now, err := r.queries.DatabaseTime(ctx)
	if err != nil {
		return all, false, fmt.Errorf("read the database's time: %w", err)
	}
	w, err := asked.windowOfJob(now)
	if err != nil {
		return all, false, err
	}
	var rows []db.ListEndedRunsRow
	err = history.Between(ctx, r.pool, w.From, w.To, func(q *db.Queries, since, before time.Time) error {
		page, err := q.ListEndedRuns(ctx, db.ListEndedRunsParams{
			JobID: job, Since: since, Before: before, MaxRows: int32(maxRuns + 1 - len(rows)),
		})
		if err != nil {
			return fmt.Errorf("list ended runs: %w", err)
		}
		if rows = append(rows, page...); len(rows) > maxRuns {
			return errCapped
		}
		return nil
	})
	if isCapped = errors.Is(err, errCapped); isCapped {
		rows = rows[:maxRuns]
	} else if err != nil {
		return all, false, err
	}
	slices.Reverse(rows)
	return series(w, func(s *sum, before time.Time) {
		for ; len(rows) > 0 && rows[0].ScheduledFor.Before(before); rows = rows[1:] {
			s.add(&rows[0])
		}
	}), isCapped, nil
}

// add adds a run, or the occurrences that a skipped one stands for.
func (s *sum) add(row *db.ListEndedRunsRow) {
	switch row.Status {
	case db.RunStatusSUCCEEDED:
		s.succeeded++
	case db.RunStatusFAILED:
		s.failed++
	case db.RunStatusCANCELED:
		s.canceled++
	case db.RunStatusSKIPPED:
		s.skipped += int64(row.Occurrences)
	}
	run := events.Run{
		Trigger: row.Trigger, ScheduledFor: row.ScheduledFor, StartedAt: clock.OrZero(row.StartedAt), FinishedAt: row.FinishedAt,
	}
	if late, ok := run.Lateness(); ok {
		s.lateness[bucketOf(late)]++
		s.maxLateness = max(s.maxLateness, late)
	}
	if took, ok := run.Duration(); ok {
		s.duration[bucketOf(took)]++
	}
}
