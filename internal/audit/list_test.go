package audit_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/audit"
	"punctual/internal/database"
	"punctual/internal/testdb"
)

// rows is how many entries fill creates in each of two namespaces: more than a list looks at.
const rows = 21_001

// fill creates entries, the newest a second ago, one each second: of three actors and two
// operations, on things of which each has one entry. The oldest entry of each namespace is of
// somebody who did nothing else.
func fill(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := database.Open(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	_, err = pool.Exec(t.Context(), fmt.Sprintf(`
		insert into audit (namespace, at, actor, operation, resource_type, resource_id, request_id, result)
		select namespace, date_trunc('second', now()) - make_interval(secs => n),
			case n when %[1]d then 'user:rare' else 'key:' || n %% 3 end, case n %% 2 when 0 then 'createJob' else 'cancelRun' end,
			case n %% 2 when 0 then 'JOB' else 'RUN' end, 'thing-' || n, 'req-' || n, '{"version":1}'
		from unnest(array['default', 'other']) as namespace, generate_series(1, %[1]d) as n`, rows))
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `vacuum analyze audit`)
	require.NoError(t, err)
	return pool
}

// list reads all pages, and returns the ids of the things, and how many pages there were.
func list(t *testing.T, pool *pgxpool.Pool, f audit.Filter) (things []string, pages int) {
	t.Helper()
	by := access.Anonymous("default")
	for {
		found, next, err := audit.List(t.Context(), db.New(pool), by, f)
		require.NoError(t, err)
		require.LessOrEqual(t, len(found), int(f.Max))
		for _, row := range found {
			require.Equal(t, "default", row.Namespace)
			things = append(things, row.ResourceID)
		}
		pages++
		if next == nil {
			return things, pages
		}
		require.Less(t, pages, 10_000, "the list ends")
		f.Before = *next
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	pool := fill(t)
	all, _ := list(t, pool, audit.Filter{Max: 1000})
	require.Len(t, all, rows)
	require.Equal(t, "thing-1", all[0], "the newest")
	require.Equal(t, fmt.Sprintf("thing-%d", rows), all[rows-1])

	some, _ := list(t, pool, audit.Filter{Actor: new("key:0"), Operation: new("createJob"), ResourceType: new("JOB"), Max: 100})
	require.Len(t, some, rows/6)
	require.Equal(t, []string{"thing-6", "thing-12"}, some[:2])

	rare, pages := list(t, pool, audit.Filter{Actor: new("user:rare"), Max: 100})
	require.Equal(t, []string{fmt.Sprintf("thing-%d", rows)}, rare)
	require.Equal(t, 3, pages, "a page looks at a bounded number of entries")

	none, _ := list(t, pool, audit.Filter{Actor: new("key:0"), ResourceType: new("KEY"), Max: 100})
	require.Empty(t, none)

	one, pages := list(t, pool, audit.Filter{ResourceID: new("thing-20000"), Max: 1})
	require.Equal(t, []string{"thing-20000"}, one)
	require.Equal(t, 1, pages, "only entries of the thing are looked at")
	other, _ := list(t, pool, audit.Filter{ResourceID: new("thing-20000"), ResourceType: new("RUN"), Max: 1})
	require.Empty(t, other)

	first, _, err := audit.List(t.Context(), db.New(pool), access.Anonymous("default"), audit.Filter{Max: 5})
	require.NoError(t, err)
	window, _ := list(t, pool, audit.Filter{Since: first[3].At, Until: first[1].At, Max: 2})
	require.Equal(t, []string{"thing-2", "thing-3", "thing-4"}, window, "both ends are included")
	empty, _ := list(t, pool, audit.Filter{Since: first[0].At.Add(time.Second), Max: 5})
	require.Empty(t, empty)
}

// Entries of one instant are listed once each.
func TestListOfOneInstant(t *testing.T) {
	t.Parallel()
	pool, err := database.Open(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	_, err = pool.Exec(t.Context(), `insert into audit (namespace, at, actor, operation, resource_type, resource_id, result)
		select 'default', '2026-01-01', 'x', 'x', 'JOB', 'thing-' || n, '{}' from generate_series(1, 50) as n`)
	require.NoError(t, err)
	for _, f := range []audit.Filter{{Max: 7}, {Max: 7, Actor: new("x")}} {
		things, _ := list(t, pool, f)
		seen := map[string]bool{}
		for _, thing := range things {
			seen[thing] = true
		}
		require.Len(t, things, 50)
		require.Len(t, seen, 50)
	}
}

// late commits an entry of some time ago as soon as a list has read its page.
type late struct {
	*pgxpool.Pool
	once sync.Once
	err  error
}

func (*late) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

func (l *late) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryEndData) {
	l.once.Do(func() {
		_, l.err = l.Exec(ctx, `insert into audit (namespace, at, actor, operation, resource_type, resource_id, result)
			values ('default', now() - interval '1 hour', 'x', 'x', 'JOB', 'late', '{}')`)
	})
}

// An entry is written before its transaction commits, so one may come that is not the newest.
func TestListWhileAnOlderEntryComes(t *testing.T) {
	t.Parallel()
	pool := fill(t)
	last, err := pool.Exec(t.Context(), `update audit set actor = 'user:last' where resource_id = 'thing-10000'`)
	require.NoError(t, err)
	require.EqualValues(t, 2, last.RowsAffected(), "the last entry that the first page looks at, and the other namespace's")
	comes := &late{Pool: pool}
	config := pool.Config()
	config.ConnConfig.Tracer = comes
	traced, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(traced.Close)
	things, _ := list(t, traced, audit.Filter{Actor: new("user:last"), Max: 100})
	require.NoError(t, comes.err)
	require.Equal(t, []string{"thing-10000"}, things, "it is listed once")
}

// A thing may have more entries than a list looks at, such as a job that is started all the time.
func TestListOfAThingWithManyEntries(t *testing.T) {
	t.Parallel()
	pool := fill(t)
	_, err := pool.Exec(t.Context(), `update audit set resource_id = 'hot'`)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `update audit set resource_id = 'rare' where actor = 'user:rare'`)
	require.NoError(t, err)
	all, _ := list(t, pool, audit.Filter{ResourceID: new("hot"), Max: 1000})
	require.Len(t, all, rows-1)
	some, _ := list(t, pool, audit.Filter{ResourceID: new("hot"), Actor: new("key:0"), Max: 1000})
	require.Len(t, some, rows/3)
	none, pages := list(t, pool, audit.Filter{ResourceID: new("hot"), Actor: new("user:rare"), Max: 10})
	require.Empty(t, none)
	require.Equal(t, 3, pages, "a page looks at a bounded number of entries")
}
