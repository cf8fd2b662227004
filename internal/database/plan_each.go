package database

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"punctual/gen/db"
)

// PlanEach returns the statements, which PostgreSQL plans for each execution and its arguments. By
// itself, after five executions of a prepared statement, it also makes a plan for any arguments.
// Such a plan locks all partitions of a table, and prepares for all filters that might be given.
func PlanEach(conn db.DBTX) *db.Queries { return db.New(planEach{conn}) }

type planEach struct{ db.DBTX }

func (p planEach) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return p.DBTX.Exec(ctx, sql, slices.Insert(args, 0, any(pgx.QueryExecModeCacheDescribe))...)
}

func (p planEach) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return p.DBTX.Query(ctx, sql, slices.Insert(args, 0, any(pgx.QueryExecModeCacheDescribe))...)
}

func (p planEach) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return p.DBTX.QueryRow(ctx, sql, slices.Insert(args, 0, any(pgx.QueryExecModeCacheDescribe))...)
}
