package tracing

import (
	"context"
	"strings"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
)

// Statements returns what makes a span of each statement in the course of a request that is
// sampled. Statements that belong to no request, such as claims, have none. Nil if traces are off.
func (t *Tracing) Statements() pgx.QueryTracer {
	if t == nil {
		return nil
	}
	tracer := otelpgx.NewTracer(
		otelpgx.WithTracerProvider(t.requests), otelpgx.WithSpanNameCtxFunc(statementName),
		otelpgx.WithDisableSQLStatementInAttributes(), otelpgx.WithDisableConnectionDetailsInAttributes(),
	)
	return statements{tracer, tracer, tracer}
}

// statements are what gets spans. Preparing a statement is a part of it.
type statements struct {
	pgx.QueryTracer
	pgx.BatchTracer
	pgx.CopyFromTracer
}

// statementName returns the name that sql/queries has for a statement, or the first word of one
// that is not from there.
func statementName(ctx context.Context, sql string) string {
	if rest, found := strings.CutPrefix(sql, "-- name: "); found {
		name, _, _ := strings.Cut(rest, " ")
		return name
	}
	return otelpgx.SQLOperationName(ctx, sql)
}
