package stats

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/gen/db"
	"punctual/internal/access"
)

// Reader reads what was counted. Make it with NewReader. Safe for concurrent use.
type Reader struct {
	pool    *pgxpool.Pool
	queries *db.Queries
}

// NewReader returns a Reader.
func NewReader(pool *pgxpool.Pool) *Reader { return &Reader{pool, db.New(pool)} }

// Filter says which runs are meant. Empty fields leave none out.
type Filter struct {
	// Label is name=value.
	Label      string
	Triggers   []string
	TargetType *string
}

// OfNamespace returns the numbers of the caller's namespace, and whether no run is missing because
// there were too many labels. It returns a BadWindow if there can be none for the window.
func (r *Reader) OfNamespace(ctx context.Context, by access.Caller, asked Asked, f Filter) (all Series, isComplete bool, err error) {
	now, err := r.queries.DatabaseTime(ctx)
	if err != nil {
		return all, false, fmt.Errorf("read the database's time: %w", err)
	}
	w, err := asked.window(now)
	if err != nil {
		return all, false, err
	}
	rows, err := r.queries.ListRunStats(ctx, db.ListRunStatsParams{
		Namespace: by.Namespace, Label: f.Label, Since: w.From, Before: w.To, Triggers: f.Triggers, TargetType: f.TargetType,
	})
	if err != nil {
		return all, false, fmt.Errorf("read what was counted: %w", err)
	}
	isLeftOut := false
	if f.Label != "" {
		p := db.AreLabelsLeftOutParams{Namespace: by.Namespace, Since: w.From, Before: w.To}
		if isLeftOut, err = r.queries.AreLabelsLeftOut(ctx, p); err != nil {
			return all, false, fmt.Errorf("read whether labels were left out: %w", err)
		}
	}
	return series(w, func(s *sum, before time.Time) {
		for ; len(rows) > 0 && rows[0].StartsAt.Before(before); rows = rows[1:] {
			s.addRow(&rows[0])
		}
	}), !isLeftOut, nil
}

// addRow adds a row of run_stats.
func (s *sum) addRow(row *db.ListRunStatsRow) {
	s.succeeded += row.Succeeded
	s.failed += row.Failed
	s.canceled += row.Canceled
	s.skipped += row.Skipped
	s.maxLateness = max(s.maxLateness, time.Duration(row.MaxLateness)*time.Microsecond)
	s.lateness.addStored(row.Lateness)
	s.duration.addStored(row.Duration)
}
