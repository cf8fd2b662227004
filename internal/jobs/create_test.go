package jobs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/internal/database"
	"punctual/internal/testdb"
)

// statements is a tracer that notes the names of the statements that are sent.
type statements struct {
	mu    sync.Mutex
	names []string
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.note(data.SQL)
	return ctx
}

func (s *statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, query := range data.Batch.QueuedQueries {
		s.note(query.SQL)
	}
	return ctx
}

func (s *statements) note(sql string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names = append(s.names, strings.Fields(strings.TrimPrefix(sql, "-- name: "))[0])
}

func (s *statements) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

func (s *statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (s *statements) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := s.names
	s.names = nil
	return names
}

// setupTraced is setup with a tracer of its statements.
func setupTraced(t *testing.T) (fixture, *statements) {
	t.Helper()
	like, err := database.Open(t.Context(), testdb.New(t))
	require.NoError(t, err)
	like.Close() // it has not connected, and only provides the settings
	sent := &statements{}
	config := like.Config()
	config.ConnConfig.Tracer = sent
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return setupOn(t, pool), sent
}

// now returns the database's time.
func (f fixture) now() time.Time {
	f.t.Helper()
	now, err := f.queries.DatabaseTime(f.t.Context())
	require.NoError(f.t, err)
	return now
}

// creation are the statements that create a job, which are sent together.
var creation = []string{"CreateJob", "CreateFirst", "AuditCreation", "ReadCreated"}

func TestCreateTakesOneRoundTrip(t *testing.T) {
	t.Parallel()
	f, sent := setupTraced(t)
	f.clock.Observe(f.now())
	for _, schedule := range []string{`"intervalInSeconds":60`, `"cron":"@hourly"`, `"runAt":"2100-01-01T00:00:00Z"`} {
		// On a machine that is very busy, an estimate may become old on its way.
		require.Eventually(t, func() bool {
			before := f.now()
			sent.take()
			job := f.create(`{"name":"x",` + schedule + `}`).Job
			names := sent.take()
			require.WithinRange(t, job.CreatedAt, before.Add(-100*time.Millisecond), f.now())
			require.Equal(t, job.CreatedAt, job.UpdatedAt)
			return slices.Equal(names, creation)
		}, 10*time.Second, time.Millisecond, schedule)
	}
}

// Whatever the instance believes the time to be, the job is created by the database's clock.
func TestCreateWithWrongEstimate(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{
		-time.Hour, -time.Second, -150 * time.Millisecond, 10 * time.Second, time.Hour,
	} {
		t.Run(ahead.String(), func(t *testing.T) {
			t.Parallel()
			f, sent := setupTraced(t)
			begun := f.now()
			f.clock.Observe(begun.Add(ahead))
			sent.take()
			job := f.create(`{"name":"x","intervalInSeconds":60}`)
			require.Equal(t, slices.Concat(creation, []string{"DatabaseTime"}, creation), sent.take())
			require.WithinRange(t, job.Job.CreatedAt, begun, f.now())
			require.Equal(t, job.Job.CreatedAt.Add(time.Minute), *job.NextRunAt)
			require.Equal(t, 1, f.count(`select count(*) from jobs`))
			require.Equal(t, 1, f.count(`select count(*) from due`))

			soon := f.now().Add(30 * time.Second).UTC()
			job = f.create(fmt.Sprintf(`{"name":"x","runAt":%q}`, soon.Format(time.RFC3339Nano)))
			require.Equal(t, soon, *job.NextRunAt)
			_, err := f.Create(t.Context(), me, decode(t, fmt.Sprintf(`{"name":"x","runAt":%q}`,
				begun.Add(-2*time.Minute).Format(time.RFC3339Nano))))
			var invalid *Invalid
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, NeverDue, invalid.Fields[0].Code)
		})
	}
}
