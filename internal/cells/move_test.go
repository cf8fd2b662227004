package cells_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/audit"
	"punctual/internal/cells"
	"punctual/internal/database"
	"punctual/internal/namespaces"
	"punctual/internal/testdb"
)

// setup returns a database with a second cell and a namespace in the first one, and what moves it.
func setup(t *testing.T) (*pgxpool.Pool, *cells.Mover) {
	t.Helper()
	url := testdb.New(t)
	require.NoError(t, cells.Add(t.Context(), url, "second", slog.New(slog.DiscardHandler)))
	pool, err := database.Open(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	_, err = pool.Exec(t.Context(), "insert into namespaces (name, description) values ('team', '')")
	require.NoError(t, err)
	return pool, &cells.Mover{Conn: connect(t, url), Within: time.Minute, Free: namespaces.FreeMoved}
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := database.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // a test may have closed it
	return conn
}

// createJob stores a job of the namespace that is due now.
func createJob(t *testing.T, q *db.Queries) {
	t.Helper()
	now, err := q.DatabaseTime(t.Context())
	require.NoError(t, err)
	id := uuid.Must(uuid.NewV7())
	err = q.CreateJob(t.Context(), db.CreateJobParams{
		OnSkipped: db.OnSkippedDROP, AlertAfterFailures: 1, ID: id, Namespace: "team", Name: "a",
		Payload: []byte(`1`), Target: []byte(`{"type":"log"}`), SecretNames: []string{},
		RunAt: &now, CreatedAt: now, MaxAttempts: 3, AttemptDeadlineSeconds: 60,
		MisfirePolicy: db.MisfirePolicySKIP, OverlapPolicy: db.OverlapPolicySKIP, RunHistory: db.RunHistoryALL,
	})
	require.NoError(t, err)
	require.NoError(t, q.CreateFirst(t.Context(), db.CreateFirstParams{ID: id, ScheduledFor: now}))
}

// staying are the tables whose rows belong to no namespace, or to the first cell.
var staying = []string{"cells", "instances", "keys", "leases", "placements", "schema_migrations", "sessions", "token_keys"}

// Whoever adds a table has to decide whether its rows move with their namespace.
func TestAllTablesMove(t *testing.T) {
	t.Parallel()
	pool, _ := setup(t)
	var body string
	require.NoError(t, pool.QueryRow(t.Context(), "select prosrc from pg_proc where proname = 'move_namespace' and pronamespace = 'public'::regnamespace").Scan(&body))
	rows, err := pool.Query(t.Context(), "select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition")
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Greater(t, len(tables), 20)
	for _, table := range tables {
		require.NotEqual(t, slices.Contains(staying, table), strings.Contains(body, "'"+table+"', "), table)
	}
}

// As long as a run is held, its namespace stays where it is, and goes on.
func TestMove_busy(t *testing.T) {
	t.Parallel()
	pool, mover := setup(t)
	q := db.New(pool)
	createJob(t, q)
	lease := uuid.Must(uuid.NewV7())
	require.NoError(t, q.CreateLease(t.Context(), db.CreateLeaseParams{ID: lease, Holder: "a test", Duration: time.Hour}))
	claimed, err := q.Claim(t.Context(), db.ClaimParams{Token: 1, LeaseID: lease, MaxRows: 1})
	require.NoError(t, err)
	require.Len(t, claimed, 1)
	mover.Within = 300 * time.Millisecond
	_, err = mover.Move(t.Context(), access.Command("team"), "team", "second")
	require.ErrorIs(t, err, cells.ErrBusy)
	requireHere(t, q, true)

	_, err = mover.Move(t.Context(), access.Command("team"), "nobody", "second")
	require.ErrorIs(t, err, access.ErrNoNamespace)
}

// requireHere requires that a namespace may be changed in a cell, or that it may not.
func requireHere(t *testing.T, q *db.Queries, want bool) {
	t.Helper()
	err := audit.Record(t.Context(), q, access.Command("team"), audit.Entry{Operation: "of a test", Type: audit.Job, ID: "1"})
	if want {
		require.NoError(t, err)
	} else {
		require.ErrorIs(t, err, access.ErrMoving)
	}
}

// Somebody who moves a namespace and dies keeps nobody else from it, nor the namespace from its
// work.
func TestMove_abandoned(t *testing.T) {
	t.Parallel()
	pool, mover := setup(t)
	q := db.New(pool)
	createJob(t, q)
	dying := connect(t, pool.Config().ConnString())
	isMine, err := db.New(dying).LockMove(t.Context(), "team")
	require.NoError(t, err)
	require.True(t, isMine)
	_, err = db.New(dying).BeginMove(t.Context(), "team")
	require.NoError(t, err)
	requireHere(t, q, false)
	_, err = mover.Move(t.Context(), access.Command("team"), "team", "second")
	require.ErrorIs(t, err, cells.ErrMoving)
	ended, err := cells.EndAbandonedMoves(t.Context(), pool, cells.First, namespaces.FreeMoved)
	require.NoError(t, err)
	require.Zero(t, ended, "it is alive")

	require.NoError(t, dying.Close(t.Context()))
	require.Eventually(t, func() bool {
		ended, err = cells.EndAbandonedMoves(t.Context(), pool, cells.First, namespaces.FreeMoved)
		require.NoError(t, err)
		return ended == 1
	}, 10*time.Second, 10*time.Millisecond)
	requireHere(t, q, true)
	moved, err := mover.Move(t.Context(), access.Command("team"), "team", "second")
	require.NoError(t, err)
	require.EqualValues(t, 1, moved)
	requireHere(t, q, false)
}

// A session that does not use the schema of its cell is refused: it would change rows of others.
func TestOtherSchema(t *testing.T) {
	t.Parallel()
	pool, err := database.OpenLimited(t.Context(), testdb.New(t), database.Limits{Schema: "nowhere"})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	require.ErrorIs(t, pool.Ping(t.Context()), database.ErrOtherSchema)
}

func TestAdd_name(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	for _, name := range []string{"", "Second", "1a", "a-b", "a b", "pg_a", strings.Repeat("a", 41)} {
		require.ErrorIs(t, cells.Add(t.Context(), url, name, slog.New(slog.DiscardHandler)), cells.ErrName, name)
	}
	require.ErrorContains(t, cells.Add(t.Context(), url, "public", slog.New(slog.DiscardHandler)), "is the first cell already")
}
