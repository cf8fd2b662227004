package database_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/internal/database"
	"punctual/internal/testdb"
)

// A statement fails soon, whenever the server falls silent, and a server that takes its place is
// used at once.
func TestSilence_serverIsGivenUp(t *testing.T) {
	t.Parallel()
	before, between, during := setup(t), setup(t), setup(t)

	before.relay.fallSilent(t)
	before.ask("select 1")

	require.NoError(t, between.pool.Ping(t.Context()))
	between.relay.fallSilent(t)
	between.ask("select 1")

	during.ask("select pg_sleep(60)")
	during.waitUntilAsked()
	during.relay.fallSilent(t)

	soon, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	before.requireGivenUp(soon, "what is asked before there is a connection")
	between.requireGivenUp(soon, "what is asked on a connection there is")
	during.requireGivenUp(soon, "what was executing")
}

// bench is a database behind a relay, and the statement that it executes.
type bench struct {
	t      *testing.T
	relay  *relay
	pool   *pgxpool.Pool
	direct *pgxpool.Pool // not by way of the relay
	failed chan error
}

func setup(t *testing.T) bench {
	t.Helper()
	url := testdb.New(t)
	relay, relayed := startRelay(t, url)
	return bench{t: t, relay: relay, pool: open(t, relayed), direct: open(t, url), failed: make(chan error, 1)}
}

func open(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := database.Open(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// ask executes a statement and does not wait for it.
func (b bench) ask(sql string) {
	go func() {
		_, err := b.pool.Exec(b.t.Context(), sql)
		b.failed <- err
	}()
}

// waitUntilAsked waits until the server executes the statement.
func (b bench) waitUntilAsked() {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		var executes bool
		err := b.direct.QueryRow(b.t.Context(), `
			select exists (
				select from pg_stat_activity
				where datname = current_database() and pid <> pg_backend_pid() and state = 'active' and wait_event = 'PgSleep'
			)`).Scan(&executes)
		require.NoError(b.t, err)
		return executes
	}, 10*time.Second, 10*time.Millisecond, "the statement executes")
}

func (b bench) requireGivenUp(soon context.Context, what string) {
	b.t.Helper()
	select {
	case err := <-b.failed:
		require.Error(b.t, err, "%s: nobody answers", what)
	case <-soon.Done():
		require.FailNow(b.t, "still waiting", "%s: the server is silent", what)
	}
	b.relay.recover(b.t)
	ctx, cancel := context.WithTimeout(b.t.Context(), 5*time.Second)
	defer cancel()
	require.NoError(b.t, b.pool.Ping(ctx), "%s: what has taken the server's place is used", what)
}
