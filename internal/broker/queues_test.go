package broker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/access"
)

// firstStatement keeps the first statement that is executed.
type firstStatement struct {
	atomic.Pointer[pgx.TraceQueryStartData]
}

func (s *firstStatement) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.CompareAndSwap(nil, &data)
	return ctx
}

func (*firstStatement) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// node is a node of a plan, with how often it read which table.
type node struct {
	Kind     string `json:"Node Type"`
	Relation string `json:"Relation Name"`
	Hit      int    `json:"Shared Hit Blocks"`
	Read     int    `json:"Shared Read Blocks"`
	Plans    []node `json:"Plans"`
}

func (n node) scans(relation string) bool {
	if n.Kind == "Seq Scan" && n.Relation == relation {
		return true
	}
	for _, below := range n.Plans {
		if below.scans(relation) {
			return true
		}
	}
	return false
}

// A list of queues reads what is on its page, however much waits in others.
func TestListQueues_plan(t *testing.T) {
	t.Parallel()
	b := setup(t)
	// 2 000 queues of which every tenth run is held, one with a backlog, and other namespaces.
	b.exec(`insert into due (job_id, scheduled_for, ready_at, carries_schedule, queue, awaits_worker, attempt, token, started_at)
		select gen_random_uuid(), at, at, true, 'default/q-' || to_char(n % 2000, 'FM0000'), true, 0, 0, null
		from (select n, now() - make_interval(secs => n % 1000) as at from generate_series(1, 100000) as n) g`)
	b.exec(`insert into due (job_id, scheduled_for, ready_at, carries_schedule, queue, awaits_worker)
		select gen_random_uuid(), now() - make_interval(secs => n), now() - make_interval(secs => n), true, queue, true
		from generate_series(1, 30000) as n, unnest(array['default/big', 'a/x', 'default-2/x', 'z/x']) as queue`)
	b.exec(`with held as (
			update due set lease_id = gen_random_uuid(), token = 1, attempt = 1, started_at = now()
			where queue like 'default/q-%' and extract(second from scheduled_for)::int % 10 = 0
			returning lease_id, queue, job_id, scheduled_for
		)
		insert into leases (id, holder, expires_at, queue, duration, job_ids, scheduled_fors)
		select lease_id, 'w', now() + interval '1 hour', queue, '1 hour', array[job_id], array[scheduled_for] from held limit 3000`)
	b.exec(`vacuum analyze due, leases, instances`)

	var first firstStatement
	config := b.pool.Config()
	config.ConnConfig.Tracer = &first
	traced, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(traced.Close)
	list := func(after string, rows int32) ([]db.ListQueuesRow, node) {
		first.Store(nil)
		got, err := db.New(traced).ListQueues(t.Context(), db.ListQueuesParams{
			After: access.Qualified("default", after), Before: access.QueuesEnd("default"), MaxRows: rows, MaxCount: 10_001,
		})
		require.NoError(t, err)
		var raw []byte
		require.NoError(t, b.pool.QueryRow(t.Context(), "explain (analyze, buffers, format json) "+first.Load().SQL,
			first.Load().Args...).Scan(&raw))
		var plans []struct{ Plan node }
		require.NoError(t, json.Unmarshal(raw, &plans))
		require.False(t, plans[0].Plan.scans("due"), "%s", raw)
		return got, plans[0].Plan
	}

	queues, plan := list("", 11)
	require.Len(t, queues, 11)
	require.Equal(t, "default/big", queues[0].Queue)
	require.EqualValues(t, 10_001, queues[0].Waiting, "it counts no further")
	for n, queue := range queues[1:] {
		require.Equal(t, fmt.Sprintf("default/q-%04d", n), queue.Queue)
		require.LessOrEqual(t, queue.Waiting, int32(50))
	}
	require.Less(t, plan.Hit+plan.Read, 5000, "the backlog is counted up to a bound, and the leases are looked up")
	_, plan = list("q-1000", 11)
	require.Less(t, plan.Hit+plan.Read, 3000)

	all, leased := 0, int32(0)
	for after := ""; ; {
		page, _ := list(after, 501)
		for _, queue := range page[:min(len(page), 500)] {
			all++
			leased += queue.Leased
			after = access.Unqualified(queue.Queue)
		}
		if len(page) < 501 {
			break
		}
	}
	require.Equal(t, 2001, all)
	require.EqualValues(t, 3000, leased)
}
