package notify_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/database"
	"punctual/internal/logging"
	"punctual/internal/notify"
	"punctual/internal/testdb"
)

// heard is one call of a listener's Due.
type heard struct {
	queue   string
	readyAt time.Time
}

// ears collects what a listener tells.
type ears struct {
	due      chan heard
	missed   chan struct{}
	canceled chan db.RunReason
}

// setup runs a listener until the test ends, and returns it when it listens.
func setup(t *testing.T) (*pgxpool.Pool, ears) {
	t.Helper()
	url := testdb.New(t)
	pool, err := database.Open(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	e := ears{make(chan heard, 1000), make(chan struct{}, 1000), make(chan db.RunReason, 1000)}
	l := notify.NewListener(notify.ListenerConfig{
		Connect:  func(ctx context.Context) (*pgx.Conn, error) { return database.Connect(ctx, url) },
		Logger:   logging.New(t.Output(), slog.LevelInfo),
		Due:      func(_, queue string, readyAt time.Time) { e.due <- heard{queue, readyAt.UTC()} },
		Missed:   func() { e.missed <- struct{}{} },
		Canceled: func(_ uuid.UUID, reason db.RunReason) { e.canceled <- reason },
	})
	inBackground(t, l.Run)
	<-e.missed // it says so as soon as it listens
	return pool, e
}

// inBackground calls run with a context that ends with the test, and waits for its end.
func inBackground(t *testing.T, run func(ctx context.Context)) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
}

// announcer runs an announcer until the test ends.
func announcer(t *testing.T, conn db.DBTX) *notify.Announcer {
	t.Helper()
	a := notify.NewAnnouncer(notify.AnnouncerConfig{
		Queries: db.New(conn), Logger: logging.New(t.Output(), slog.LevelInfo),
	})
	inBackground(t, a.Run)
	return a
}

// outOfOrder is a database that refuses the first statements.
type outOfOrder struct {
	*pgxpool.Pool
	refusals atomic.Int32
}

func (o *outOfOrder) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if o.refusals.Add(-1) >= 0 {
		return pgconn.CommandTag{}, errors.New("the database is away")
	}
	return o.Pool.Exec(ctx, sql, args...)
}

func TestAnnouncer(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Microsecond)

	t.Run("announces instants however far away", func(t *testing.T) {
		t.Parallel()
		pool, ears := setup(t)
		a := announcer(t, pool)
		for _, ahead := range []time.Duration{-time.Hour, 0, time.Second, 12 * time.Second, 100 * 24 * time.Hour} {
			a.Announce("mail", now.Add(ahead))
			require.Equal(t, heard{"mail", now.Add(ahead)}, <-ears.due)
		}
	})

	t.Run("sends the earliest instant of each queue once", func(t *testing.T) {
		t.Parallel()
		pool, ears := setup(t)
		a := notify.NewAnnouncer(notify.AnnouncerConfig{Queries: db.New(pool)})
		for n := range 20_000 { // before it runs: all are sent together
			a.Announce([]string{"", "mail"}[n%2], now.Add(time.Duration(20_000-n)*time.Second))
		}
		inBackground(t, a.Run)
		got := []heard{<-ears.due, <-ears.due}
		require.ElementsMatch(t, []heard{{"", now.Add(2 * time.Second)}, {"mail", now.Add(time.Second)}}, got)
		a.Announce("last", now)
		require.Equal(t, heard{"last", now}, <-ears.due, "nothing else was sent")
	})

	t.Run("sends again what could not be sent", func(t *testing.T) {
		t.Parallel()
		pool, ears := setup(t)
		broken := &outOfOrder{Pool: pool}
		broken.refusals.Store(1)
		announcer(t, broken).Announce("mail", now)
		require.Equal(t, heard{"mail", now}, <-ears.due)
	})

	t.Run("sends what is left when it stops", func(t *testing.T) {
		t.Parallel()
		pool, ears := setup(t)
		a := notify.NewAnnouncer(notify.AnnouncerConfig{Queries: db.New(pool)})
		a.Announce("mail", now)
		stopped, stop := context.WithCancel(t.Context())
		running := make(chan struct{})
		go func() {
			defer close(running)
			a.Run(stopped)
		}()
		stop()
		<-running
		select {
		case got := <-ears.due:
			require.Equal(t, heard{"mail", now}, got)
		case <-time.After(10 * time.Second):
			require.Fail(t, "it was lost")
		}
	})
}

func TestListener(t *testing.T) {
	t.Parallel()

	t.Run("listens again after its connection broke, and says that it may have missed something", func(t *testing.T) {
		t.Parallel()
		pool, ears := setup(t)
		_, err := pool.Exec(t.Context(), `select pg_terminate_backend(pid) from pg_stat_activity
			where datname = current_database() and query like '%listen punctual_%' and pid <> pg_backend_pid()`)
		require.NoError(t, err)
		<-ears.missed
		require.NoError(t, db.New(pool).NotifyDue(t.Context(), db.NotifyDueParams{
			Queues: []string{"mail"}, UnixMicros: []int64{1},
		}))
		require.Equal(t, heard{"mail", time.UnixMicro(1).UTC()}, <-ears.due)
	})

	t.Run("takes a notification that it cannot read for a missed one", func(t *testing.T) {
		t.Parallel()
		pool, ears := setup(t)
		_, err := pool.Exec(t.Context(), "select pg_notify('punctual_due', 'of another version')")
		require.NoError(t, err)
		<-ears.missed
	})

	t.Run("passes on which runs are canceled", func(t *testing.T) {
		t.Parallel()
		pool, ears := setup(t)
		require.NoError(t, db.New(pool).NotifyCanceled(t.Context(), db.NotifyCanceledParams{
			RunIds: []uuid.UUID{uuid.New()}, Reason: string(db.RunReasonREQUESTED),
		}))
		require.Equal(t, db.RunReasonREQUESTED, <-ears.canceled)
	})
}
