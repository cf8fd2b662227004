package runs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/database"
	"punctual/internal/testdb"
)

// capture is a database that keeps the statement that it is asked to execute.
type capture struct {
	sql  string
	args []any
}

var errCaptured = errors.New("captured")

func (c *capture) Query(_ context.Context, sql string, args ...any) (pgx.Rows, error) {
	c.sql, c.args = sql, args
	return nil, errCaptured
}

func (c *capture) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	c.sql, c.args = sql, args
	return pgconn.CommandTag{}, errCaptured
}

func (*capture) QueryRow(context.Context, string, ...any) pgx.Row { return nil }

func (*capture) SendBatch(context.Context, *pgx.Batch) pgx.BatchResults { return nil }

func (*capture) CopyFrom(context.Context, pgx.Identifier, []string, pgx.CopyFromSource) (int64, error) {
	return 0, errCaptured
}

// node is a node of a plan, as EXPLAIN prints it.
type node struct {
	Type     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Rows     float64 `json:"Actual Rows"`
	Removed  float64 `json:"Rows Removed by Filter"`
	Loops    float64 `json:"Actual Loops"`
	Plans    []node  `json:"Plans"`
}

// walk calls visit for a node and all below it.
func (n node) walk(visit func(node)) {
	visit(n)
	for _, below := range n.Plans {
		below.walk(visit)
	}
}

// explain executes a captured statement with a prepared plan, undoes it, and returns the plan.
func explain(t *testing.T, conn *pgx.Conn, c *capture, mode string) node {
	t.Helper()
	ctx := t.Context()
	tx, err := conn.Begin(ctx)
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(context.WithoutCancel(ctx))) }()
	described, err := conn.Prepare(ctx, "", c.sql)
	require.NoError(t, err)
	literals := make([]string, len(c.args))
	for i, arg := range c.args {
		text, err := conn.TypeMap().Encode(described.ParamOIDs[i], pgx.TextFormatCode, arg, nil)
		require.NoError(t, err, "parameter %d", i+1)
		literals[i] = "'" + strings.ReplaceAll(string(text), "'", "''") + "'"
	}
	simple := func(sql string) {
		t.Helper()
		_, err := conn.PgConn().Exec(ctx, sql).ReadAll()
		require.NoError(t, err)
	}
	simple("set local plan_cache_mode = " + mode)
	simple("prepare explained as " + c.sql)
	defer simple("deallocate explained")
	results, err := conn.PgConn().Exec(ctx,
		"explain (analyze, buffers off, timing off, format json) execute explained("+strings.Join(literals, ", ")+")").ReadAll()
	require.NoError(t, err)
	var plans []struct{ Plan node }
	require.NoError(t, json.Unmarshal(results[0].Rows[0][0], &plans))
	return plans[0].Plan
}

// isSmall is how many rows of a table PostgreSQL may read whole: all of them fit in a few pages.
const isSmall = 500

// requireBounded requires that a plan reads tables that are not small by their indexes only, and
// visits no more rows than a number that depends on the batch.
func requireBounded(t *testing.T, plan node, jobs, most int, name string) {
	t.Helper()
	visited := 0.0
	plan.walk(func(n node) {
		// Of job_versions, a completion reads those of the jobs that it deletes: here none.
		if n.Relation == "" || n.Relation == "leases" || n.Relation == "job_versions" {
			return
		}
		if jobs > isSmall {
			require.NotEqual(t, "Seq Scan", n.Type, "%s reads all of %s", name, n.Relation)
			require.NotEqual(t, "Bitmap Heap Scan", n.Type, "%s reads all that is due of %s", name, n.Relation)
		}
		if strings.Contains(n.Type, "Scan") {
			visited += (n.Rows + n.Removed) * max(n.Loops, 1)
		}
	})
	require.Positive(t, visited, "%s reads something", name)
	if jobs <= isSmall {
		most += 2 * jobs // due and jobs may be read whole
	}
	require.LessOrEqual(t, visited, float64(most), "rows that %s visits", name)
}

// fill adds jobs that are due, one row of due for each.
func fill(t *testing.T, pool *pgxpool.Pool, jobs int) {
	t.Helper()
	for _, sql := range []string{
		fmt.Sprintf(`insert into jobs (id, namespace, updated_by, name, payload, target, interval_seconds, anchor_at, jitter_seconds,
			delete_after_completion, misfire_policy, overlap_policy, max_attempts, min_backoff_seconds,
			max_backoff_seconds, attempt_deadline_seconds, run_history, status, created_at, updated_at)
		select gen_random_uuid(), 'default', 'test', 'job', 'null', '{"type":"log"}', 60, now(), 0, false, 'FIRE_ALL', 'SKIP', 3, 1, 1,
			60, 'ALL', 'ACTIVE', now(), now()
		from generate_series(1, %d)`, jobs),
		`insert into due (job_id, scheduled_for, ready_at, carries_schedule)
		select id, date_trunc('second', now()) - interval '1 second', date_trunc('second', now()) - interval '1 second', true
		from jobs`,
		`select create_runs_partition((now() at time zone 'UTC')::date), create_runs_partition((now() at time zone 'UTC')::date - 1)`,
		`vacuum analyze due`, `vacuum analyze jobs`,
	} {
		_, err := pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
}

// The plans of the two statements of the hot path do not depend on the size of the tables, nor on
// whether PostgreSQL knows the parameters when it plans.
func TestPlans(t *testing.T) {
	t.Parallel()
	const batch = 100
	for _, jobs := range []int{isSmall, 20_000} {
		t.Run(fmt.Sprintf("%d jobs", jobs), func(t *testing.T) {
			t.Parallel()
			pool, err := database.Open(t.Context(), testdb.New(t))
			require.NoError(t, err)
			t.Cleanup(pool.Close)
			fill(t, pool, jobs)
			lease := db.CreateLeaseParams{ID: uuid.New(), Holder: "test", Duration: time.Hour}
			require.NoError(t, db.New(pool).CreateLease(t.Context(), lease))
			claim := db.ClaimParams{Token: 1, LeaseID: lease.ID, MaxRows: batch, Ahead: time.Second}
			rows, err := db.New(pool).Claim(t.Context(), claim)
			require.NoError(t, err)
			require.Len(t, rows, batch)

			var claiming, completing, failing, ending capture
			_, err = db.New(&claiming).Claim(t.Context(), claim)
			require.ErrorIs(t, err, errCaptured)
			_, err = db.New(&completing).Complete(t.Context(), completion(rows))
			require.ErrorIs(t, err, errCaptured)
			failures, ends := completion(rows), completion(rows)
			for i := range rows {
				failures.Statuses[i] = string(db.RunStatusFAILED)
				ends.NextFors[i], ends.FinalStatuses[i] = time.Time{}, string(db.JobStatusCOMPLETED)
			}
			_, err = db.New(&failing).Complete(t.Context(), failures)
			require.ErrorIs(t, err, errCaptured)
			_, err = db.New(&ending).Complete(t.Context(), ends)
			require.ErrorIs(t, err, errCaptured)
			conn, err := pool.Acquire(t.Context())
			require.NoError(t, err)
			defer conn.Release()
			for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
				// A claim visits the rows that are held before it, each of its rows twice, and
				// their jobs.
				requireBounded(t, explain(t, conn.Conn(), &claiming, mode), jobs, 4*batch, "Claim, "+mode)
				// A completion looks each row of due up once to move it, and then for those that
				// end.
				requireBounded(t, explain(t, conn.Conn(), &completing, mode), jobs, 2*batch, "Complete, "+mode)
				// Of a run that has failed, it also looks up the job and when it was to be
				// canceled.
				requireBounded(t, explain(t, conn.Conn(), &failing, mode), jobs, 4*batch, "Complete of failures, "+mode)
				// Of a run without a next one, it changes the job, which it looks up, with its
				// rows.
				requireBounded(t, explain(t, conn.Conn(), &ending, mode), jobs, 6*batch, "Complete of ends, "+mode)
			}
		})
	}
}

// A claim changes no indexed column. A run that succeeds is not in the index of those that did not.
func TestIndexesOfDue(t *testing.T) {
	t.Parallel()
	pool, err := database.Open(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	fill(t, pool, 300)
	size := func() (n int) {
		require.NoError(t, pool.QueryRow(t.Context(), `select pg_relation_size('due_not_succeeded')`).Scan(&n))
		return n
	}
	empty := size()
	for _, status := range []db.RunStatus{db.RunStatusSUCCEEDED, db.RunStatusFAILED} {
		lease := db.CreateLeaseParams{ID: uuid.New(), Holder: "test", Duration: time.Hour}
		require.NoError(t, db.New(pool).CreateLease(t.Context(), lease))
		tx, err := pool.Begin(t.Context())
		require.NoError(t, err)
		defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
		heapOnly := func() (n int) { // so far, in this session
			require.NoError(t, tx.QueryRow(t.Context(),
				`select n_tup_hot_upd from pg_stat_xact_user_tables where relname = 'due'`).Scan(&n))
			return n
		}
		before := heapOnly()
		rows, err := db.New(tx).Claim(t.Context(), db.ClaimParams{Token: 1, LeaseID: lease.ID, MaxRows: 100, Ahead: 2 * time.Minute})
		require.NoError(t, err)
		require.Len(t, rows, 100)
		require.Greater(t, heapOnly()-before, 50, "all are heap-only updates, but where a page is full")
		params := completion(rows)
		for i := range params.Statuses {
			params.Statuses[i] = string(status)
		}
		stored, err := db.New(tx).Complete(t.Context(), params)
		require.NoError(t, err)
		require.Len(t, stored, 100)
		require.NoError(t, tx.Commit(t.Context()))
		require.Equal(t, status == db.RunStatusSUCCEEDED, size() == empty, "nothing in the index after %s", status)
	}
}

// completion completes claimed runs that have succeeded.
func completion(rows []db.ClaimRow) (c db.CompleteParams) {
	for i := range rows {
		row := &rows[i].Claimed
		c.JobIds = append(c.JobIds, row.JobID)
		c.ScheduledFors = append(c.ScheduledFors, row.ScheduledFor)
		c.Tokens = append(c.Tokens, row.Token)
		c.Revisions = append(c.Revisions, row.Revision)
		c.Triggers = append(c.Triggers, string(row.Trigger))
		c.Attempts = append(c.Attempts, row.Attempt)
		c.StartedAts = append(c.StartedAts, row.StartedAt)
		c.FinishedAts = append(c.FinishedAts, row.StartedAt)
		c.Statuses = append(c.Statuses, string(db.RunStatusSUCCEEDED))
		c.NextFors = append(c.NextFors, row.ScheduledFor.Add(time.Minute))
		c.FinalStatuses = append(c.FinalStatuses, "")
		c.StatusReasons = append(c.StatusReasons, "")
	}
	return c
}
