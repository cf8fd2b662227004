package maintenance

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/gen/db"
	"punctual/internal/database"
	"punctual/internal/stats"
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

const (
	// statsBatch is how many rows a pass makes hours of, and how many it deletes at most.
	statsBatch = 5000
	// coarsenEvery is the time between two passes. A batch has more rows than minutes come
	// meanwhile, as a rule.
	coarsenEvery = 10 * time.Minute
	// nextStatsAfter is the pause before the next pass if some rows are left.
	nextStatsAfter = time.Second
)

// CoarsenStats makes hours of the minutes of what was counted of runs, when they are old, and
// deletes the hours that are older than runs are kept: days, or fewer in their namespace. 0 is for
// ever. Several instances may do it at once.
func CoarsenStats(pool *pgxpool.Pool, days int) Duty {
	q := db.New(pool)
	return Duty{Name: "make hours of the minutes of stats", Every: coarsenEvery, Pass: func(ctx context.Context) (result Result, err error) {
		minutes, err := makeHours(ctx, pool)
		if err != nil {
			return result, fmt.Errorf("make hours of minutes: %w", err)
		}
		hours, err := q.PurgeRunStats(ctx, db.PurgeRunStatsParams{Days: int32(days), MaxRows: statsBatch})
		if err != nil {
			return result, fmt.Errorf("delete old hours: %w", err)
		}
		if result.Count = minutes + hours; minutes == statsBatch || hours == statsBatch {
			result.Next = nextStatsAfter
		}
		return result, nil
	}}
}

// makeHours makes hours of a batch of old minutes, and returns how many minutes that were. A
// transaction moves the counts, so none is lost or counted twice.
func makeHours(ctx context.Context, pool *pgxpool.Pool) (minutes int64, err error) {
	err = database.Transact(ctx, pool, func(tx *database.Tx) error {
		q := db.New(tx)
		taken, err := q.TakeRunMinutes(ctx, db.TakeRunMinutesParams{Kept: stats.MinutesKept, MaxRows: statsBatch})
		if minutes = taken.N; err != nil || minutes == 0 {
			return err
		}
		return db.New(tx.Later()).AddRunHours(ctx, taken.Minutes)
	})
	return minutes, err
}
