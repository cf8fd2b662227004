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

// slowly has a query take a while longer.
type slowly struct {
	query string
	by    time.Duration
}

func (s slowly) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.Contains(data.SQL, "name: "+s.query+" ") {
		<-time.After(s.by)
	}
	return ctx
}

func (slowly) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// What comes near between a claim and the look for what is next is for neither to leave to the other.
func TestWhatComesNearAfterAClaimIsOnTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	config := b.pool.Config()
	config.ConnConfig.Tracer = slowly{"NextReady", 600 * time.Millisecond}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	b.job(func(p *db.CreateJobParams) { p.ScheduledFor = p.ScheduledFor.Add(1900 * time.Millisecond) }) // in 0.9 s

	b.pool = pool
	p := b.poller(succeed, poller.Config{PollInterval: time.Minute})
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		p.Run(ctx)
	}()
	require.Eventually(t, func() bool { return b.count("select count(*) from runs") == 1 }, 10*time.Second, 10*time.Millisecond,
		"nobody waits for the next poll")
	stop()
	<-stopped
	require.NoError(t, p.Drain(t.Context()))
}
