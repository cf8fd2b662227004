package poller_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/poller"
)

// slowly delays a query.
type slowly struct {
	query string
	delay func()
}

func (s slowly) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.Contains(data.SQL, "name: "+s.query+" ") {
		s.delay()
	}
	return ctx
}

func (slowly) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// A run that comes near between a claim and the look for the next run is left out by neither.
func TestRunThatIsNearAfterAClaim(t *testing.T) {
	t.Parallel()
	b := setup(t)
	config := b.Pool.Config()
	config.ConnConfig.Tracer = slowly{"NextReady", func() { b.await(600 * time.Millisecond) }}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	b.job(func(p *newJob) { p.ScheduledFor = new(p.ScheduledFor.Add(1900 * time.Millisecond)) }) // in 0.9 s

	b.Pool = pool
	p := b.poller(succeed, poller.Config{PollInterval: time.Minute})
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		p.Run(ctx)
	}()
	require.Eventually(
		t,
		func() bool { return b.Count("select count(*) from runs") == 1 },
		10*time.Second,
		10*time.Millisecond,
		"nobody waits for the next poll",
	)
	stop()
	<-stopped
	require.NoError(t, p.Drain(t.Context()))
}
