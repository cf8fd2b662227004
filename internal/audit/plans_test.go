package audit_test

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/audit"
)

// statement keeps the first statement that is executed.
type statement struct {
	atomic.Pointer[pgx.TraceQueryStartData]
}

func (s *statement) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.CompareAndSwap(nil, &data)
	return ctx
}

func (*statement) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// blocksOf returns how many blocks the first statement visits that do executes.
func blocksOf(t *testing.T, pool *pgxpool.Pool, do func(*db.Queries) error) int {
	t.Helper()
	var first statement
	config := pool.Config()
	config.ConnConfig.Tracer = &first
	traced, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer traced.Close()
	tx, err := traced.Begin(t.Context())
	require.NoError(t, err)
	first.Store(nil) // not the begin
	require.NoError(t, do(db.New(tx)))
	require.NoError(t, tx.Rollback(t.Context()))

	tx, err = pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(context.WithoutCancel(t.Context()))) }()
	var raw []byte
	err = tx.QueryRow(t.Context(), "explain (analyze, buffers, format json) "+first.Load().SQL, first.Load().Args...).Scan(&raw)
	require.NoError(t, err)
	var plans []struct {
		Plan struct {
			Hit  int `json:"Shared Hit Blocks"`
			Read int `json:"Shared Read Blocks"`
		}
	}
	require.NoError(t, json.Unmarshal(raw, &plans))
	require.NotContains(t, string(raw), "Seq Scan")
	require.Positive(t, plans[0].Plan.Hit, "%s", raw)
	return plans[0].Plan.Hit + plans[0].Plan.Read
}

// What a request reads depends on what it returns, not on how much there is besides.
func TestPlans(t *testing.T) {
	t.Parallel()
	pool := fill(t)
	newest := time.Now().Add(-(rows - 100) * time.Second)
	list := func(f audit.Filter) func(*db.Queries) error {
		return func(q *db.Queries) error {
			_, _, err := audit.List(t.Context(), q, access.Anonymous("default"), f)
			return err
		}
	}
	for name, c := range map[string]struct {
		do   func(*db.Queries) error
		most int
	}{
		"the newest":          {list(audit.Filter{Max: 5}), 20},
		"until some time ago": {list(audit.Filter{Max: 5, Until: newest}), 20},
		"since some time ago": {list(audit.Filter{Max: 5, Since: newest}), 20},
		"a thing's":           {list(audit.Filter{Max: 5, ResourceID: new("thing-7")}), 20},
		"old entries are deleted": {func(q *db.Queries) error {
			n, err := q.PurgeAudit(t.Context(), db.PurgeAuditParams{Days: 0, MaxRows: 5000})
			require.EqualValues(t, 5000, n)
			return err
		}, 50_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.LessOrEqual(t, blocksOf(t, pool, c.do), c.most)
		})
	}
}
