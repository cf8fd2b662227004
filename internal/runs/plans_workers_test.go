package runs_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/database"
	"punctual/internal/runid"
	"punctual/internal/testdb"
)

// What a claim for workers reads depends on how many runs they take, whatever waits in their queues
// and elsewhere, and what storing their reports reads on the number of reports.
func TestPlansOfWorkers(t *testing.T) {
	t.Parallel()
	const queues, each = 20, 5
	pool, err := database.Open(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	fill(t, pool, 40_000)
	for _, sql := range []string{
		`update jobs set target = json_build_object('type', 'worker', 'queue', 'q' || abs(hashtext(id::text)::bigint) % 40)`,
		`update due d set queue = j.qualified_queue, awaits_worker = true from jobs j where j.id = d.job_id`,
		`vacuum full analyze due`, `vacuum analyze jobs`,
	} {
		_, err := pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	claim := db.ClaimQueuedParams{Token: 1}
	for n := range queues {
		claim.Queues = append(claim.Queues, fmt.Sprintf("default/q%d", n))
		claim.Counts, claim.Befores = append(claim.Counts, each), append(claim.Befores, int32(n*each))
		lease := uuid.Must(uuid.NewV7())
		for range each {
			claim.LeaseIds = append(claim.LeaseIds, lease)
		}
	}
	rows, err := db.New(pool).ClaimQueued(t.Context(), claim)
	require.NoError(t, err)
	require.Len(t, rows, queues*each)
	var granted db.GrantLeasesParams
	list, forget := db.ListLeasedParams{}, db.ForgetLeasesParams{EmptyIds: []uuid.UUID{}}
	for i := range rows {
		row := &rows[i].Claimed
		for n, queue := range claim.Queues {
			require.Equal(t, *row.Queue == queue, row.LeaseID == claim.LeaseIds[n*each])
		}
		scheduledFor, tail, ok := runid.Parse(runid.New(row.JobID, row.ScheduledFor))
		require.True(t, ok)
		list.Numbers, list.Namespaces = append(list.Numbers, int32(i)), append(list.Namespaces, "default")
		list.ScheduledFors, list.JobTails = append(list.ScheduledFors, scheduledFor), append(list.JobTails, tail)
		list.Tokens = append(list.Tokens, row.Token)
		forget.Ids = append(forget.Ids, row.LeaseID)
		granted.LeaseIds, granted.Holders = append(granted.LeaseIds, row.LeaseID), append(granted.Holders, "w")
		granted.Durations, granted.Queues = append(granted.Durations, time.Minute), append(granted.Queues, *row.Queue)
		granted.JobIds, granted.ScheduledFors = append(granted.JobIds, row.JobID), append(granted.ScheduledFors, row.ScheduledFor)
		granted.JobVersions = append(granted.JobVersions, 1)
	}
	require.NoError(t, db.New(pool).GrantLeases(t.Context(), granted))
	leased, err := db.New(pool).ListLeased(t.Context(), list)
	require.NoError(t, err)
	require.Len(t, leased, len(rows))
	for _, row := range leased {
		require.Equal(t, rows[row.Number].Claimed.JobID, row.Claimed.JobID)
		require.EqualValues(t, each, row.LeaseSize)
	}

	claim.Token++
	for i := range claim.LeaseIds {
		claim.LeaseIds[i] = uuid.Must(uuid.NewV7())
	}
	var claiming, listing, forgetting capture
	_, err = db.New(&claiming).ClaimQueued(t.Context(), claim)
	require.ErrorIs(t, err, errCaptured)
	_, err = db.New(&listing).ListLeased(t.Context(), list)
	require.ErrorIs(t, err, errCaptured)
	require.ErrorIs(t, db.New(&forgetting).ForgetLeases(t.Context(), forget), errCaptured)
	conn, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
		// Each row is visited to lock it, to change it, and with its job, which is read twice. Those
		// that are held stand before it in the index.
		requireLimitedBounded(t, explain(t, conn.Conn(), &claiming, mode), 6*len(rows), "ClaimQueued, "+mode)
		requireLimitedBounded(t, explain(t, conn.Conn(), &listing, mode), 2*len(rows), "ListLeased, "+mode)
		requireLimitedBounded(t, explain(t, conn.Conn(), &forgetting, mode), each*len(rows), "ForgetLeases, "+mode)
	}
}
