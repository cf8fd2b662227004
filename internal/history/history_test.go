package history_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/database"
	"punctual/internal/history"
	"punctual/internal/testdb"
)

func setup(t *testing.T) (*db.Queries, *pgxpool.Pool) {
	t.Helper()
	pool, err := database.Open(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return db.New(pool), pool
}

// today is the current day (UTC).
func today() time.Time { return time.Now().UTC().Truncate(24 * time.Hour) }

// daysUntil returns so many days, of which the last is given.
func daysUntil(last time.Time, days int) (all []time.Time) {
	for n := days - 1; n >= 0; n-- {
		all = append(all, last.AddDate(0, 0, -n))
	}
	return all
}

// storeRuns stores a job with a run at each instant.
func storeRuns(t *testing.T, pool *pgxpool.Pool, job uuid.UUID, scheduledFors []time.Time) {
	t.Helper()
	_, err := pool.Exec(t.Context(), `
		insert into jobs (
			id, namespace, name, payload, target, interval_seconds, anchor_at, jitter_seconds, delete_after_completion,
			misfire_policy, overlap_policy, max_attempts, min_backoff_seconds, max_backoff_seconds, attempt_deadline_seconds,
			run_history, status, created_at, updated_at, updated_by
		)
		values ($1, 'default', 'job', 'null', '{}', 60, now(), 0, false, 'SKIP', 'SKIP', 1, 1, 1, 1, 'ALL', 'ACTIVE', now(), now(), 'test')
		on conflict do nothing`, job)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `
		insert into runs (job_id, scheduled_for, started_at, finished_at, status, attempt, occurrences)
		select $1, at, at, at, 'SUCCEEDED', 1, 1
		from unnest($2::timestamptz[]) as at`, job, scheduledFors)
	require.NoError(t, err)
}

func partitionNames(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), "select name from runs_partitions order by first_day")
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return names
}

// locksOfPartition is how many locks reading a partition takes: its own, and one for each index.
const locksOfPartition = 4

// countLocks returns how many partitions of runs, and indexes of such, read locks in one
// transaction.
func countLocks(t *testing.T, pool *pgxpool.Pool, read func(conn db.DBTX)) (n int) {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(t.Context())) }()
	read(tx)
	require.NoError(t, tx.QueryRow(t.Context(), `
		select count(*) from pg_locks l join pg_class c on c.oid = l.relation
		where l.pid = pg_backend_pid() and c.relname like 'runs\_2%'`).Scan(&n))
	return n
}

func TestList(t *testing.T) {
	t.Parallel()
	_, pool := setup(t)
	testdb.CreateDays(t, pool, today(), 400)
	job, other := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	all := daysUntil(today(), 400)
	slices.Reverse(all) // newest first
	sparse := []time.Time{all[1], all[31], all[32], all[33], all[200], all[399]}
	storeRuns(t, pool, job, sparse)
	storeRuns(t, pool, other, all)

	list := func(t *testing.T, job uuid.UUID, before time.Time, maxRows int32) (got []time.Time) {
		t.Helper()
		rows, err := history.List(t.Context(), pool, db.ListRunsParams{JobID: job, Before: before, MaxRows: maxRows})
		require.NoError(t, err)
		for _, row := range rows {
			got = append(got, row.ScheduledFor.UTC())
		}
		return got
	}
	endOfTime := time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

	t.Run("goes back as far as there are runs", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, sparse, list(t, job, endOfTime, 100))
		require.Equal(t, sparse[:3], list(t, job, endOfTime, 3))
		require.Equal(t, sparse[3:], list(t, job, sparse[2], 100), "the next page begins after the last run")
		require.Equal(t, all, list(t, other, endOfTime, 1000))
		require.Empty(t, list(t, uuid.Must(uuid.NewV7()), endOfTime, 10))
		require.Empty(t, list(t, job, time.Unix(0, 0), 10))
	})

	t.Run("locks few partitions", func(t *testing.T) {
		t.Parallel()
		for range 10 { // PostgreSQL may settle on another plan after some executions
			require.LessOrEqual(t, countLocks(t, pool, func(conn db.DBTX) {
				rows, err := history.List(t.Context(), conn, db.ListRunsParams{JobID: other, Before: endOfTime, MaxRows: 10})
				require.NoError(t, err)
				require.Len(t, rows, 10)
			}), 16*locksOfPartition)
		}
	})

	t.Run("the latest runs of jobs are those of 30 days, from few partitions at a time", func(t *testing.T) {
		t.Parallel()
		before := today().AddDate(0, 0, 1)
		recent := func(conn db.DBTX, maxRows int) map[uuid.UUID][]db.ListRecentRunsRow {
			found, err := history.Recent(t.Context(), conn, "default", []uuid.UUID{job, uuid.Must(uuid.NewV7()), other}, before, maxRows)
			require.NoError(t, err)
			return found
		}
		found := recent(pool, 30)
		require.Len(t, found, 2, "there are two such jobs")
		require.Len(t, found[job], 1, "the others are older")
		require.Equal(t, all[1], found[job][0].ScheduledFor.UTC())
		require.Len(t, found[other], 30)
		for n, row := range found[other] {
			require.Equal(t, all[n], row.ScheduledFor.UTC(), "the latest runs, newest first, over more partitions than one statement reads")
		}
		require.Len(t, recent(pool, 3)[other], 3)
		for range 10 {
			require.LessOrEqual(t, countLocks(t, pool, func(conn db.DBTX) {
				found, err := history.Recent(t.Context(), conn, "default", []uuid.UUID{other}, before, 10)
				require.NoError(t, err)
				require.Len(t, found[other], 10)
			}), 16*locksOfPartition)
		}
	})

	t.Run("the ends of runs are read from the partitions of their instants", func(t *testing.T) {
		t.Parallel()
		ids, at := []uuid.UUID{job, other, job, uuid.Must(uuid.NewV7())}, []time.Time{sparse[4], all[0], all[3], all[0]}
		for range 10 {
			require.Positive(t, countLocks(t, pool, func(conn db.DBTX) {
				ends, err := history.ListEnds(t.Context(), conn, ids, at)
				require.NoError(t, err)
				require.Len(t, ends, 2, "the others have no run")
			}))
			require.LessOrEqual(t, countLocks(t, pool, func(conn db.DBTX) {
				_, err := history.ListEnds(t.Context(), conn, ids, at)
				require.NoError(t, err)
			}), 3*locksOfPartition)
		}
		ids = slices.Repeat([]uuid.UUID{other}, len(all))
		ends, err := history.ListEnds(t.Context(), pool, ids, all)
		require.NoError(t, err)
		require.Len(t, ends, len(all), "over more partitions than one statement reads")
		ends, err = history.ListEnds(t.Context(), pool, nil, nil)
		require.NoError(t, err)
		require.Empty(t, ends)
	})

	t.Run("one run is found by locking one partition", func(t *testing.T) {
		t.Parallel()
		for range 10 {
			require.LessOrEqual(t, countLocks(t, pool, func(conn db.DBTX) {
				_, err := history.Get(t.Context(), conn, db.GetRunParams{ScheduledFor: all[5], JobTail: job[8:]})
				require.ErrorIs(t, err, pgx.ErrNoRows, "there is no such job")
			}), locksOfPartition)
		}
	})
}

// Statements of a change lock the partitions of the runs that they ask for.
func TestQueriesLockFewPartitions(t *testing.T) {
	t.Parallel()
	_, pool := setup(t)
	testdb.CreateDays(t, pool, today(), 100)
	job, days := uuid.Must(uuid.NewV7()), daysUntil(today(), 3)
	for name, ask := range map[string]func(q *db.Queries) error{
		"which runs are stored": func(q *db.Queries) error {
			_, err := q.ListStored(t.Context(), db.ListStoredParams{
				JobIds: []uuid.UUID{job, job, job}, ScheduledFors: days, Earliest: days[0], Latest: days[2],
			})
			return err
		},
		"how many were backfilled": func(q *db.Queries) error {
			_, err := q.CountBackfilled(t.Context(), db.CountBackfilledParams{JobID: job, After: days[0], Until: days[2]})
			return err
		},
		"backfill": func(q *db.Queries) error {
			_, err := q.Backfill(t.Context(), db.BackfillParams{
				JobID: job, ScheduledFors: days, Earliest: days[0], Latest: days[2],
			})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 10 { // PostgreSQL may settle on another plan after some executions
				require.LessOrEqual(t, countLocks(t, pool, func(conn db.DBTX) {
					require.NoError(t, ask(history.Queries(conn)))
				}), len(days)*locksOfPartition)
			}
		})
	}
}

func TestCreatePartitions(t *testing.T) {
	t.Parallel()

	t.Run("makes one a day of the last month, and one a month before that", func(t *testing.T) {
		t.Parallel()
		q, pool := setup(t)
		days := daysUntil(today(), 6*365)
		require.NoError(t, history.CreatePartitions(t.Context(), q, days))
		names := partitionNames(t, pool)
		require.LessOrEqual(t, len(names), 32+6*12+2)
		require.Equal(t, "runs_"+today().Format("20060102"), names[len(names)-1])
		storeRuns(t, pool, uuid.Must(uuid.NewV7()), days)
		require.NoError(t, history.CreatePartitions(t.Context(), q, days), "doing it twice is harmless")
		require.Equal(t, names, partitionNames(t, pool))
	})

	t.Run("leaves the days alone that have a partition", func(t *testing.T) {
		t.Parallel()
		q, pool := setup(t)
		_, err := pool.Exec(t.Context(), `
			create table runs_20200210 partition of runs for values from ('2020-02-10Z') to ('2020-02-11Z');
			create table runs_20200212 partition of runs for values from ('2020-02-12Z') to ('2020-02-13Z')`)
		require.NoError(t, err)
		february := daysUntil(time.Date(2020, 2, 29, 0, 0, 0, 0, time.UTC), 29)
		require.NoError(t, history.CreatePartitions(t.Context(), q, february))
		require.Equal(t, []string{
			"runs_20200201_20200209", "runs_20200210", "runs_20200211", "runs_20200212", "runs_20200213_20200229",
		}, partitionNames(t, pool))
		storeRuns(t, pool, uuid.Must(uuid.NewV7()), february)
	})
}
