// Package history reads the runs of a job and creates the partitions that runs are stored in.
//
// The table of runs has a partition for each day, so a long retention means many of them. Each
// partition that a statement touches costs four entries or more in PostgreSQL's table of locks,
// which all sessions share. So no function here touches more than a fixed number in one
// transaction.
package history

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"punctual/gen/db"
	"punctual/internal/clock"
	"punctual/internal/database"
)

// maxPartitions is how many partitions one transaction reads or creates at most. More would make a
// short list need fewer statements, but would cost every list more locks and more planning.
const maxPartitions = 16

// Get returns one run, open or ended, or pgx.ErrNoRows.
func Get(ctx context.Context, conn db.DBTX, p db.GetRunParams) (db.GetRunRow, error) {
	row, err := Queries(conn).GetRun(ctx, p)
	if err != nil {
		return db.GetRunRow{}, fmt.Errorf("get run: %w", err)
	}
	return row, nil
}

// List returns the runs of a job before an instant, newest first, at most p.MaxRows. It takes what
// ListRuns takes, except that it sets p.Since itself: it goes back some partitions at a time until
// it has enough runs or nothing older exists.
func List(ctx context.Context, conn db.DBTX, p db.ListRunsParams) (rows []db.ListRunsRow, err error) {
	q, maxRows := Queries(conn), int(p.MaxRows)
	for isOldest := false; !isOldest && len(rows) < maxRows; {
		p.Since, err = q.RunsPageStart(ctx, db.RunsPageStartParams{Before: p.Before, Skipped: maxPartitions - 1})
		if err != nil {
			return nil, fmt.Errorf("find the partitions of runs to list: %w", err)
		}
		p.MaxRows = int32(maxRows - len(rows))
		page, err := q.ListRuns(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("list runs: %w", err)
		}
		rows = append(rows, page...)
		isOldest, p.Before = p.Since.Unix() <= 0, p.Since
	}
	return rows, nil
}

// Between calls read for parts of a time, newest first, each of which holds a bounded number of
// partitions, until it has covered all of it.
func Between(ctx context.Context, conn db.DBTX, since, before time.Time, read func(q *db.Queries, since, before time.Time) error) error {
	q := Queries(conn)
	for before.After(since) {
		oldest, err := q.RunsPageStart(ctx, db.RunsPageStartParams{Before: before, Skipped: maxPartitions - 1})
		if err != nil {
			return fmt.Errorf("find the partitions of runs to read: %w", err)
		}
		oldest = clock.Later(oldest, since)
		if err := read(q, oldest, before); err != nil {
			return err
		}
		before = oldest
	}
	return nil
}

// ListEnds returns how runs ended, of those that are kept: the run of jobs[i] at scheduledFors[i],
// and so on, in no order.
func ListEnds(ctx context.Context, conn db.DBTX, jobs []uuid.UUID, scheduledFors []time.Time) (ends []db.ListEndsRow, err error) {
	order := make([]int, len(jobs)) // by instant, so that runs of one day are read together
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return scheduledFors[a].Compare(scheduledFors[b]) })
	var p db.ListEndsParams
	read := func() error {
		page, err := Queries(conn).ListEnds(ctx, p)
		if err != nil {
			return fmt.Errorf("read how runs ended: %w", err)
		}
		ends, p = append(ends, page...), db.ListEndsParams{}
		return nil
	}
	days, last := 0, time.Time{}
	for _, i := range order {
		day := scheduledFors[i].UTC().Truncate(24 * time.Hour)
		if days == 0 || !day.Equal(last) {
			if days == maxPartitions {
				if err := read(); err != nil {
					return nil, err
				}
				days = 0
			}
			days, last = days+1, day
		}
		p.JobIds, p.ScheduledFors = append(p.JobIds, jobs[i]), append(p.ScheduledFors, scheduledFors[i])
	}
	if days == 0 {
		return nil, nil
	}
	return ends, read()
}

// Queries returns the statements that read runs within bounds of scheduled_for, so that they lock
// only the partitions within these bounds.
func Queries(conn db.DBTX) *db.Queries { return database.PlanEach(conn) }

// CreatePartitions creates the partitions that runs scheduled for these instants are stored in. It
// needs a connection that is in no transaction: it commits after some partitions.
func CreatePartitions(ctx context.Context, q *db.Queries, scheduledFors []time.Time) error {
	days := map[time.Time]bool{}
	for _, t := range scheduledFors {
		days[t.UTC().Truncate(24*time.Hour)] = true
	}
	for chunk := range slices.Chunk(slices.SortedFunc(maps.Keys(days), time.Time.Compare), maxPartitions) {
		if _, err := q.CreateRunsPartitions(ctx, chunk); err != nil {
			return fmt.Errorf("create the partitions of runs from %s to %s: %w",
				chunk[0].Format(time.DateOnly), chunk[len(chunk)-1].Format(time.DateOnly), err)
		}
	}
	return nil
}
